#include "edits/hashes.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <set>

#include "base/parallel.h"
#include "base/sha256.h"

namespace lenswright {

std::string sha256_of(const at::Tensor& tensor) {
  const at::Tensor bytes = tensor.detach().cpu().contiguous();
  return Sha256::hex({static_cast<const std::byte*>(bytes.const_data_ptr()), bytes.nbytes()});
}

std::vector<std::string> sha256_of(const std::vector<std::shared_ptr<Stored>>& tensors) {
  // Several writers may share a tensor.
  const std::set<std::shared_ptr<Stored>> all(tensors.begin(), tensors.end());
  const std::vector<std::shared_ptr<Stored>> each(all.begin(), all.end());
  parallel_for(static_cast<int64_t>(each.size()), at::get_num_threads(), [&](int64_t i) {
    Stored& stored = *each[i];
    const int64_t version = stored.original.is_inference() ? 0 : stored.original._version();
    if (stored.digest.version != version) stored.digest = {sha256_of(stored.original), version};
  });
  std::vector<std::string> hashes;
  for (const auto& stored : tensors) hashes.push_back(stored->digest.sha256);
  return hashes;
}

}  // namespace lenswright
