#include "edits/targets.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/error.h"
#include "base/glob.h"

namespace lenswright {
namespace {

bool matches(const WriterSite& writer, const std::string& asked) {
  if (asked == "all" || asked == name_of(writer.kind) || asked == writer.name) return true;
  return Glob::is_pattern(asked) && Glob(asked).matches(writer.name);
}

std::vector<std::string> names_of(const std::vector<WriterSite>& writers) {
  std::vector<std::string> names;
  for (const WriterSite& writer : writers) names.push_back(writer.name);
  return names;
}

std::string joined(const std::vector<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts) all += (all.empty() ? "'" : ", '") + text + "'";
  return all;
}

[[noreturn]] void refuse(const std::vector<WriterSite>& writers, const std::string& asked) {
  std::vector<std::string> words = {"all"};
  for (const WriterSite& writer : writers) {
    const std::string kind(name_of(writer.kind));
    if (std::find(words.begin(), words.end(), kind) == words.end()) words.push_back(kind);
  }
  const std::string listed = joined(words);
  for (const std::string& name : names_of(writers)) words.push_back(name);
  TORCH_CHECK_VALUE(false, "writers has '", asked, "', which matches no writer of this model",
                    did_you_mean(asked, words), "; expected ", listed,
                    ", or names or globs of writers such as '", writers.back().name, "'");
}

}  // namespace

Targets choose_writers(const std::vector<WriterSite>& writers,
                       const std::vector<std::string>& asked) {
  TORCH_CHECK_VALUE(!asked.empty(), "writers is empty, expected 'all', kinds, names or globs");
  for (const std::string& one : asked) {
    const bool used = std::any_of(writers.begin(), writers.end(),
                                  [&](const WriterSite& writer) { return matches(writer, one); });
    if (!used) refuse(writers, one);
  }
  Targets targets;
  for (const WriterSite& writer : writers) {
    const bool wanted = std::any_of(asked.begin(), asked.end(),
                                    [&](const std::string& one) { return matches(writer, one); });
    if (wanted) {
      targets.chosen.push_back(&writer);
    } else {
      targets.reasons[writer.name] = "not among the writers asked for (" + joined(asked) + ")";
    }
  }
  return targets;
}

const WriterSite& writer_named(const std::vector<WriterSite>& writers, const std::string& name) {
  const auto found = std::find_if(writers.begin(), writers.end(),
                                  [&](const WriterSite& writer) { return writer.name == name; });
  TORCH_CHECK_VALUE(found != writers.end(), "the edit has writer '", name,
                    "', which this model does not have", did_you_mean(name, names_of(writers)));
  return *found;
}

}  // namespace lenswright
