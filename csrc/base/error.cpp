#include "base/error.h"

#include <algorithm>
#include <cerrno>
#include <numeric>
#include <utility>
#include <vector>

namespace lenswright {
namespace {

// Edit distance where swapping two neighbours counts once; gives up beyond `limit`.
size_t distance(std::string_view a, std::string_view b, size_t limit) {
  const size_t gap = a.size() > b.size() ? a.size() - b.size() : b.size() - a.size();
  if (gap > limit) return limit + 1;
  std::vector<size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  std::iota(last.begin(), last.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t change = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
    if (*std::min_element(row.begin(), row.end()) > limit) return limit + 1;
    std::swap(before, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

}  // namespace

std::string nearest(std::string_view name, std::span<const std::string> candidates) {
  // A name may be wrong in a third of its characters; long untrusted names are not compared.
  if (name.empty() || name.size() > 256) return "";
  size_t best = std::max<size_t>(1, name.size() / 3);
  const std::string* found = nullptr;
  for (const std::string& candidate : candidates) {
    const size_t d = distance(name, candidate, best);
    if (d < best || (d == best && found == nullptr)) {
      best = d;
      found = &candidate;
    }
  }
  return found == nullptr ? "" : *found;
}

std::string did_you_mean(std::string_view name, std::span<const std::string> candidates) {
  const std::string close = nearest(name, candidates);
  return close.empty() ? "" : "; did you mean " + in_quotes(close) + "?";
}

FileError::FileError(int code, std::string message)
    : std::system_error(code, std::generic_category()), message_(std::move(message)) {}

FileError::~FileError() = default;

void throw_errno(std::string_view what, std::string_view path) {
  const int code = errno;
  throw FileError(code, std::string(what) + " " + in_quotes(path) + ": " +
                            std::generic_category().message(code));
}

}  // namespace lenswright
