#include "io/verify.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "base/parallel.h"
#include "base/sha256.h"
#include "base/widen.h"

namespace lenswright {
namespace {

constexpr uint64_t kPiece = 1u << 20;  // a multiple of every element's size

void count_special(Dtype dtype, std::span<const std::byte> bytes, TensorCheck& check) {
  constexpr int64_t kStrip = 2048;
  std::array<double, kStrip> values;
  const int64_t count = static_cast<int64_t>(bytes.size()) / element_bytes(dtype);
  for (int64_t at = 0; at < count; at += kStrip) {
    const int64_t n = std::min(kStrip, count - at);
    widen(dtype, bytes.data() + at * element_bytes(dtype), n, values.data());
    for (int64_t i = 0; i < n; ++i) {
      check.not_a_number += std::isnan(values[static_cast<size_t>(i)]);
      check.infinite += std::isinf(values[static_cast<size_t>(i)]);
    }
  }
}

TensorCheck verify_tensor(const TensorInfo& tensor, int file, Progress* progress) {
  TensorCheck check{tensor.name, "", 0, 0};
  std::vector<std::byte> buffer(std::min(kPiece, tensor.bytes()));
  Sha256 hash;
  for (uint64_t at = tensor.begin; at < tensor.end; at += buffer.size()) {
    const auto piece = std::span(buffer).first(std::min<uint64_t>(tensor.end - at, buffer.size()));
    if (!read_at(file, at, piece)) {
      throw CheckpointError(Flaw::changed, tensor.file, "the file shrank while it was read",
                            tensor.name, at);
    }
    hash.update(piece);
    if (can_widen(tensor.dtype)) count_special(tensor.dtype, piece, check);
    if (progress != nullptr) progress->step(static_cast<int64_t>(piece.size()));
  }
  check.sha256 = hash.hex();
  return check;
}

}  // namespace

std::vector<TensorCheck> verify(const Checkpoint& checkpoint, Progress* progress, int threads) {
  const auto& tensors = checkpoint.tensors();
  std::map<std::string, OpenFile> files;
  for (const std::string& shard : checkpoint.shards()) {
    files.emplace(shard, checkpoint.open_shard(shard));
  }
  if (progress != nullptr) {
    uint64_t total = 0;
    for (const TensorInfo& tensor : tensors) total += tensor.bytes();
    progress->set_total(static_cast<int64_t>(total));
  }
  std::vector<TensorCheck> checks(tensors.size());
  parallel_for(static_cast<int64_t>(tensors.size()), threads, [&](int64_t i) {
    const TensorInfo& tensor = tensors[static_cast<size_t>(i)];
    checks[static_cast<size_t>(i)] = verify_tensor(tensor, files.at(tensor.file).get(), progress);
  });
  if (progress != nullptr) progress->finish();
  return checks;
}

}  // namespace lenswright
