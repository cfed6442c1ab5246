#include "edits/targets.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <unordered_set>

#include "base/error.h"
#include "base/glob.h"
#include "base/text.h"

namespace lenswright {
namespace {

// What is asked for, made ready: mixtures have thousands of writers, and edits may name each.
class Asked {
 public:
  explicit Asked(const std::vector<std::string>& asked) {
    for (const std::string& one : asked) {
      words_.insert(one);
      if (Glob::is_pattern(one)) globs_.emplace_back(one);
    }
  }

  /// Notes what has matched.
  bool matches(const WriterSite& writer) {
    bool any = false;
    for (const std::string& word :
         {std::string("all"), std::string(name_of(writer.kind)), writer.name}) {
      if (!words_.contains(word)) continue;
      used_.insert(word);
      any = true;
    }
    for (const Glob& glob : globs_) {
      if (!glob.matches(writer.name)) continue;
      used_.insert(glob.pattern());
      any = true;
    }
    return any;
  }

  bool used(const std::string& one) const { return used_.contains(one); }

 private:
  std::unordered_set<std::string> words_, used_;
  std::vector<Glob> globs_;
};

std::vector<std::string> names_of(const std::vector<WriterSite>& writers) {
  std::vector<std::string> names;
  for (const WriterSite& writer : writers) names.push_back(writer.name);
  return names;
}

[[noreturn]] void refuse(const std::vector<WriterSite>& writers, const std::string& asked) {
  std::vector<std::string> words = {"all"};
  for (const WriterSite& writer : writers) {
    const std::string kind(name_of(writer.kind));
    if (std::find(words.begin(), words.end(), kind) == words.end()) words.push_back(kind);
  }
  const std::string expected = listed_in_quotes(words);
  for (const std::string& name : names_of(writers)) words.push_back(name);
  TORCH_CHECK_VALUE(false, "writers has '", asked, "', which matches no writer of this model",
                    did_you_mean(asked, words), "; expected ", expected,
                    ", or names or globs of writers such as '", writers.back().name, "'");
}

}  // namespace

Targets choose_writers(const std::vector<WriterSite>& writers,
                       const std::vector<std::string>& asked) {
  TORCH_CHECK_VALUE(!asked.empty(), "writers is empty, expected 'all', kinds, names or globs");
  Asked wanted(asked);
  Targets targets;
  const std::string why = "not among the writers asked for (" + listed_in_quotes(asked, 8) + ")";
  for (const WriterSite& writer : writers) {
    if (wanted.matches(writer)) {
      targets.chosen.push_back(&writer);
    } else {
      targets.reasons[writer.name] = why;
    }
  }
  for (const std::string& one : asked) {
    if (!wanted.used(one)) refuse(writers, one);
  }
  return targets;
}

WriterIndex::WriterIndex(const std::vector<WriterSite>& writers) : writers_(writers) {
  for (const WriterSite& writer : writers) by_name_[writer.name] = &writer;
}

const WriterSite& WriterIndex::named(const std::string& name) const {
  const auto found = by_name_.find(name);
  TORCH_CHECK_VALUE(found != by_name_.end(), "the edit has writer '", name,
                    "', which this model does not have", did_you_mean(name, names_of(writers_)));
  return *found->second;
}

}  // namespace lenswright
