#include "edits/hashes.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "base/parallel.h"
#include "base/sha256.h"

namespace lenswright {

namespace {

void update(Sha256& sha, const at::Tensor& tensor) {
  const at::Tensor bytes = tensor.detach().cpu().contiguous();
  sha.update({static_cast<const std::byte*>(bytes.const_data_ptr()), bytes.nbytes()});
}

// In pieces whose memory is given back: a layer's experts in one tensor are gigabytes.
void update(Sha256& sha, const Checkpoint& checkpoint, const TensorInfo& info) {
  constexpr size_t kPiece = size_t{32} << 20;
  const auto map = checkpoint.map(info.file);
  map->check_unchanged();
  map->advise(MappedFile::Advice::will_need, info.begin, info.end);
  const std::span<const std::byte> bytes = checkpoint.data(info);
  for (size_t begin = 0; begin < bytes.size(); begin += kPiece) {
    const size_t size = std::min(kPiece, bytes.size() - begin);
    sha.update(bytes.subspan(begin, size));
    map->release(info.begin + begin, info.begin + begin + size);
  }
}

uint64_t bytes_of(const std::vector<TensorInfo>& tensors) {
  uint64_t sum = 0;
  for (const TensorInfo& info : tensors) sum += info.bytes();
  return sum;
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

std::vector<std::string> sha256_of(const Checkpoint& checkpoint,
                                   const std::vector<std::vector<TensorInfo>>& tensors,
                                   int threads) {
  // The largest first, so that no thread is left alone with it at the end.
  std::vector<size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, std::greater(), [&](size_t i) { return bytes_of(tensors[i]); });
  std::vector<std::string> hashes(tensors.size());
  parallel_for(static_cast<int64_t>(order.size()), threads, [&](int64_t place) {
    const size_t i = order[place];
    Sha256 sha;
    for (const TensorInfo& info : tensors[i]) update(sha, checkpoint, info);
    hashes[i] = sha.hex();
  });
  return hashes;
}

}  // namespace lenswright
