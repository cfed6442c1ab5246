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

// The number of what is looked at of an operand.
class Look {
 public:
  Look(const std::string& name, const Operand& operand) : operand_(operand) {
    hash_.update(std::as_bytes(std::span(name.c_str(), name.size() + 1)));
  }

  void add(int64_t first, int64_t count) {
    const auto size = static_cast<uint64_t>(element_bytes(operand_.info->dtype));
    raw_.resize(static_cast<size_t>(count) * size);
    values_.resize(static_cast<size_t>(count));
    const std::byte* bytes = operand_.input->read(
        *operand_.info, static_cast<uint64_t>(first) * size, raw_.size(), raw_.data());
    widen(operand_.info->dtype, bytes, count, values_.data());
    hash_.update(std::as_bytes(std::span(values_)));
  }

  uint64_t number() const {
    const auto digest = hash_.digest();
    uint64_t out = 0;
    for (int i = 0; i < 8; ++i) out = out << 8 | digest[static_cast<size_t>(i)];
    return out;
  }

 private:
  const Operand& operand_;
  Sha256 hash_;
  std::vector<std::byte> raw_;
  std::vector<double> values_;
};

uint64_t glimpse(const std::string& name, const Operand& operand) {
  const int64_t count = operand.info->numel();
  Look look(name, operand);
  if (count <= kPieces * kLength) {
    look.add(0, count);
    return look.number();
  }
  for (int64_t piece = 0; piece < kPieces; ++piece) {
    look.add((count - kLength) / (kPieces - 1) * piece, kLength);
  }
  return look.number();
}

uint64_t look_whole(const std::string& name, const Operand& operand) {
  const int64_t count = operand.info->numel();
  Look look(name, operand);
  for (int64_t at = 0; at < count; at += kWhole) look.add(at, std::min(kWhole, count - at));
  return look.number();
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
    if (times[out[i]] > 1) out[i] = look_whole(job.name, job.operands[i]);
  }
  return out;
}

}  // namespace lenswright
