#include "base/glob.h"

#include <charconv>
#include <stdexcept>

#include "base/error.h"

namespace lenswright {

// Recursive descent: a pattern becomes a small program, run by Glob::matches for all its
// alternatives at once.
class GlobCompiler {
 public:
  explicit GlobCompiler(Glob& glob) : glob_(glob), text_(glob.pattern_) {}

  void compile() {
    sequence(0);
    if (at_ < text_.size()) fail("'" + std::string(1, text_[at_]) + "' without '{'");
    emit({Kind::accept});
  }

 private:
  using Step = Glob::Step;
  using Kind = Step::Kind;
  static constexpr size_t kMaxSteps = 100'000;
  static constexpr int kMaxDepth = 16;

  [[noreturn]] void fail(const std::string& why) const {
    throw std::invalid_argument("pattern " + in_quotes(text_) + ": " + why);
  }

  uint32_t emit(Step step) {
    if (glob_.steps_.size() >= kMaxSteps) fail("too long when its braces are written out");
    glob_.steps_.push_back(step);
    return static_cast<uint32_t>(glob_.steps_.size() - 1);
  }

  uint32_t here() const { return static_cast<uint32_t>(glob_.steps_.size()); }

  // Until the end of the pattern or, within braces, an unescaped ',' or '}'.
  void sequence(int depth) {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '}' || (depth > 0 && c == ',')) return;
      ++at_;
      if (c == '*') {
        star();
      } else if (c == '?') {
        emit({Kind::any});
      } else if (c == '[') {
        set();
      } else if (c == '{') {
        braces(depth + 1);
      } else if (c == '\\') {
        if (at_ == text_.size()) fail("a '\\' at the end");
        emit({Kind::character, text_[at_++]});
      } else {
        emit({Kind::character, c});
      }
    }
  }

  void star() {
    const uint32_t loop = emit({Kind::split});
    emit({Kind::any});
    emit({Kind::jump, 0, loop});
    glob_.steps_[loop].first = loop + 1;
    glob_.steps_[loop].second = here();
  }

  void set() {
    std::array<bool, 256> members{};
    const bool negated = at_ < text_.size() && (text_[at_] == '!' || text_[at_] == '^');
    if (negated) ++at_;
    for (bool first = true; first || at_ >= text_.size() || text_[at_] != ']'; first = false) {
      if (at_ >= text_.size()) fail("'[' without ']'");
      const auto low = static_cast<unsigned char>(text_[at_++]);
      auto high = low;
      if (at_ + 1 < text_.size() && text_[at_] == '-' && text_[at_ + 1] != ']') {
        high = static_cast<unsigned char>(text_[at_ + 1]);
        at_ += 2;
      }
      if (high < low) fail("a range in '[…]' that runs backwards");
      for (int c = low; c <= high; ++c) members[static_cast<size_t>(c)] = true;
    }
    ++at_;
    if (negated) {
      for (bool& member : members) member = !member;
    }
    emit({Kind::set, 0, static_cast<uint32_t>(glob_.sets_.size())});
    glob_.sets_.push_back(members);
  }

  void braces(int depth) {
    if (depth > kMaxDepth) fail("braces nested too deeply");
    if (numbers()) return;
    std::vector<uint32_t> ends;
    for (;;) {
      const uint32_t split = emit({Kind::split});
      glob_.steps_[split].first = here();
      sequence(depth);
      if (at_ >= text_.size()) fail("'{' without '}'");
      if (text_[at_++] == '}') {
        glob_.steps_[split] = {Kind::jump, 0, split + 1};  // the last alternative: no other way
        break;
      }
      ends.push_back(emit({Kind::jump}));
      glob_.steps_[split].second = here();
    }
    for (const uint32_t end : ends) glob_.steps_[end].first = here();
  }

  // "{a..b}" with two numbers: either one matches without leading zeros.
  bool numbers() {
    const size_t close = text_.find('}', at_);
    if (close == std::string_view::npos) return false;
    int64_t low = 0, high = 0;
    const char* end = text_.data() + close;
    const auto [middle, bad_low] = std::from_chars(text_.data() + at_, end, low);
    if (bad_low != std::errc() || end - middle < 3 || middle[0] != '.' || middle[1] != '.')
      return false;
    const auto [last, bad_high] = std::from_chars(middle + 2, end, high);
    if (bad_high != std::errc() || last != end) return false;
    if (low < 0 || high < low) fail("a range of numbers must not be negative or run backwards");
    if (high - low >= 10'000) fail("a range of more than 10,000 numbers");
    at_ = close + 1;
    std::vector<uint32_t> ends;
    for (int64_t number = low; number <= high; ++number) {
      const uint32_t split = emit({Kind::split});
      glob_.steps_[split].first = here();
      for (const char digit : std::to_string(number)) emit({Kind::character, digit});
      if (number == high) {
        glob_.steps_[split] = {Kind::jump, 0, split + 1};
      } else {
        ends.push_back(emit({Kind::jump}));
        glob_.steps_[split].second = here();
      }
    }
    for (const uint32_t end_step : ends) glob_.steps_[end_step].first = here();
    return true;
  }

  Glob& glob_;
  std::string_view text_;
  size_t at_ = 0;
};

Glob::Glob(std::string_view pattern) : pattern_(pattern) { GlobCompiler(*this).compile(); }

bool Glob::is_pattern(std::string_view text) {
  return text.find_first_of("*?[]{}\\") != std::string_view::npos;
}

namespace {

// The steps that are waiting for the next character: a set with an ordered list.
class Threads {
 public:
  explicit Threads(size_t steps) : seen_(steps, 0) {}
  void clear() {
    ++round_;
    list_.clear();
  }
  bool add(uint32_t step) {
    if (seen_[step] == round_) return false;
    seen_[step] = round_;
    list_.push_back(step);
    return true;
  }
  const std::vector<uint32_t>& list() const { return list_; }

 private:
  std::vector<uint32_t> list_;
  std::vector<size_t> seen_;
  size_t round_ = 1;
};

}  // namespace

bool Glob::matches(std::string_view name) const {
  using Kind = Step::Kind;
  Threads now(steps_.size()), next(steps_.size());
  std::vector<uint32_t> pending;
  bool accepted = false;
  const auto follow = [&](uint32_t start, Threads& into) {
    pending.push_back(start);
    while (!pending.empty()) {
      const uint32_t at = pending.back();
      pending.pop_back();
      if (!into.add(at)) continue;
      const Step& step = steps_[at];
      if (step.kind == Kind::accept) accepted = true;
      if (step.kind == Kind::jump || step.kind == Kind::split) pending.push_back(step.first);
      if (step.kind == Kind::split) pending.push_back(step.second);
    }
  };
  follow(0, now);
  for (const char c : name) {
    accepted = false;
    next.clear();
    for (const uint32_t at : now.list()) {
      const Step& step = steps_[at];
      const bool taken =
          step.kind == Kind::any || (step.kind == Kind::character && step.character == c) ||
          (step.kind == Kind::set && sets_[step.first][static_cast<unsigned char>(c)]);
      if (taken) follow(at + 1, next);
    }
    std::swap(now, next);
  }
  return accepted;
}

}  // namespace lenswright
