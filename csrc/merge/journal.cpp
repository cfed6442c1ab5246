#include "merge/journal.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <sstream>

#include "base/error.h"
#include "base/sha256.h"

namespace lenswright {
namespace {

constexpr uint64_t kOdd = 0x9E3779B97F4A7C15, kMix = 0xD6E8FEB86659FD93;

uint64_t stir(uint64_t x) {
  x = (x ^ x >> 32) * kMix;
  x = (x ^ x >> 32) * kMix;
  return x ^ x >> 32;
}

}  // namespace

uint64_t checksum(uint64_t offset, std::span<const std::byte> bytes) {
  // Four chains, so that products need not wait for one another.
  uint64_t state[4] = {offset, ~offset, offset * kOdd, bytes.size()};
  size_t at = 0;
  for (; at + 32 <= bytes.size(); at += 32) {
    uint64_t words[4];
    std::memcpy(words, bytes.data() + at, 32);
    for (int i = 0; i < 4; ++i) state[i] = (state[i] ^ words[i]) * kMix + (state[i] >> 29);
  }
  uint64_t rest[4] = {0, 0, 0, 0};
  std::memcpy(rest, bytes.data() + at, bytes.size() - at);
  uint64_t out = kOdd;
  for (int i = 0; i < 4; ++i) out = stir(out ^ stir(state[i] ^ rest[i] * kOdd));
  return out;
}

std::string fingerprint(const MergePlan& plan) {
  std::ostringstream text;
  text << "1 " << static_cast<int>(plan.options.mode) << ' ' << plan.options.seed << ' '
       << plan.options.vocabulary.dump() << plan.config.dump() << '\n';
  text << std::hexfloat;
  for (const auto& input : plan.inputs) {
    text << input->name() << '\n';
    for (const Checkpoint* checkpoint : input->checkpoints()) {
      for (const std::string& shard : checkpoint->shards()) {
        const OpenFile file = checkpoint->open_shard(shard);
        const FileIdentity id = identity(file.get());
        text << shard << ' ' << id.inode << ' ' << id.size << ' ' << id.modified << '\n';
      }
    }
  }
  const auto values = [&](const Values& all) {
    for (const auto& [name, value] : all.all()) text << name << '=' << value << ' ';
  };
  for (const MergePlan::Shard& shard : plan.shards) {
    text << shard.file << '\n';
    for (const size_t index : shard.jobs) {
      const Job& job = plan.jobs[index];
      text << job.name << ' ' << static_cast<int>(job.dtype) << ' ' << job.method->name << ' '
           << job.base << ' ';
      for (const int64_t dim : job.shape) text << dim << ',';
      values(job.values);
      for (const Operand& operand : job.operands) {
        text << operand.input->name() << ' ' << operand.info->name << ' ';
        values(operand.own);
      }
      text << '\n';
    }
  }
  const std::string all = text.str();
  return Sha256::hex(std::as_bytes(std::span(all.data(), all.size())));
}

Journal::Journal(const std::filesystem::path& path) {
  file_ = OpenFile(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
  if (file_.get() < 0) throw_errno("cannot open", path.string());
  std::string text(file_.size(), '\0');
  read_at(file_.get(), 0, std::as_writable_bytes(std::span(text)));
  const size_t whole = text.rfind('\n') == std::string::npos ? 0 : text.rfind('\n') + 1;
  std::istringstream lines(text.substr(0, whole));
  for (std::string line; std::getline(lines, line);) {
    size_t job = 0;
    uint64_t sum = 0;
    if (std::sscanf(line.c_str(), "%zu %" SCNx64, &job, &sum) == 2) finished_[job] = sum;
  }
  if (::ftruncate(file_.get(), static_cast<off_t>(whole)) != 0)
    throw_errno("cannot cut", path.string());
}

void Journal::add(size_t job, uint64_t sum) {
  char line[64];
  const int size = std::snprintf(line, sizeof line, "%zu %" PRIx64 "\n", job, sum);
  const std::lock_guard lock(mutex_);
  write_at(file_.get(), file_.size(), std::as_bytes(std::span(line, static_cast<size_t>(size))));
}

}  // namespace lenswright
