#include <array>
#include <map>
#include <span>

#include "base/sha256.h"
#include "base/widen.h"
#include "merge/tensor_run.h"

namespace lenswright {
namespace {

constexpr int64_t kPieces = 64;   // of a tensor that are looked at
constexpr int64_t kLength = 64;   // elements of each
constexpr int64_t kWhole = 8192;  // elements at a time, of all

void begin(Sha256& hash, const std::string& name) {
  hash.update(std::as_bytes(std::span(name.c_str(), name.size() + 1)));
}

void add(Sha256& hash, const Operand& operand, int64_t first, int64_t count) {
  const auto size = static_cast<uint64_t>(element_bytes(operand.info->dtype));
  std::vector<std::byte> room(static_cast<size_t>(count) * size);
  std::vector<double> values(static_cast<size_t>(count));
  const std::byte* bytes = operand.input->read(*operand.info, static_cast<uint64_t>(first) * size,
                                               room.size(), room.data());
  widen(operand.info->dtype, bytes, count, values.data());
  hash.update(std::as_bytes(std::span(values)));
}

uint64_t number(const Sha256& hash) {
  const auto digest = hash.digest();
  uint64_t out = 0;
  for (int i = 0; i < 8; ++i) out = out << 8 | digest[static_cast<size_t>(i)];
  return out;
}

uint64_t glimpse(const std::string& name, const Operand& operand) {
  const int64_t count = operand.info->numel();
  Sha256 hash;
  begin(hash, name);
  if (count <= kPieces * kLength) {
    add(hash, operand, 0, count);
    return number(hash);
  }
  for (int64_t piece = 0; piece < kPieces; ++piece) {
    add(hash, operand, (count - kLength) / (kPieces - 1) * piece, kLength);
  }
  return number(hash);
}

uint64_t look(const std::string& name, const Operand& operand) {
  const int64_t count = operand.info->numel();
  Sha256 hash;
  begin(hash, name);
  for (int64_t at = 0; at < count; at += kWhole) {
    add(hash, operand, at, std::min(kWhole, count - at));
  }
  return number(hash);
}

}  // namespace

std::vector<uint64_t> streams_of(const Job& job) {
  std::vector<uint64_t> out;
  std::map<uint64_t, int> times;
  for (const Operand& operand : job.operands) {
    out.push_back(glimpse(job.name, operand));
    ++times[out.back()];
  }
  // Models that differ in few places may look alike in some: those are read whole.
  for (size_t i = 0; i < out.size(); ++i) {
    if (times[out[i]] > 1) out[i] = look(job.name, job.operands[i]);
  }
  return out;
}

}  // namespace lenswright
