#include "edits/hashes.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <set>

#include "base/parallel.h"
#include "base/sha256.h"

namespace lenswright {

namespace {

void update(Sha256& sha, const at::Tensor& tensor) {
  const at::Tensor bytes = tensor.detach().cpu().contiguous();
  sha.update({static_cast<const std::byte*>(bytes.const_data_ptr()), bytes.nbytes()});
}

std::string digest_of(const Stored& stored) {
  Sha256 sha;
  if (!stored.quantised) {
    update(sha, stored.original);
  } else {
    update(sha, stored.quantised->codes);
    update(sha, stored.quantised->scales);
  }
  return sha.hex();
}

int64_t version_of(const Stored& stored) {
  const at::Tensor& tensor = stored.quantised ? stored.quantised->codes : stored.original;
  return tensor.is_inference() ? 0 : tensor._version();
}

}  // namespace

std::string sha256_of(const at::Tensor& tensor) {
  Sha256 sha;
  update(sha, tensor);
  return sha.hex();
}

std::vector<std::string> sha256_of(const std::vector<std::shared_ptr<Stored>>& tensors) {
  // Several writers may share a tensor.
  const std::set<std::shared_ptr<Stored>> all(tensors.begin(), tensors.end());
  const std::vector<std::shared_ptr<Stored>> each(all.begin(), all.end());
  parallel_for(static_cast<int64_t>(each.size()), at::get_num_threads(), [&](int64_t i) {
    Stored& stored = *each[i];
    const int64_t version = version_of(stored);
    if (stored.digest.version != version) stored.digest = {digest_of(stored), version};
  });
  std::vector<std::string> hashes;
  for (const auto& stored : tensors) hashes.push_back(stored->digest.sha256);
  return hashes;
}

}  // namespace lenswright
