#include "edits/arithmetic.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <tuple>

#include "edits/factor_algebra.h"
#include "edits/targets.h"

namespace lenswright {
namespace {

using Identity = std::array<const void*, 7>;
using OfTwo = Factors (*)(const Factors&, const Factors&, const std::string&);

// Results by the factors they came from: thousands of experts share one.
class Remembered {
 public:
  Factors operator()(const Factors& x, const Factors& y, const std::function<Factors()>& make) {
    const auto key = std::make_pair(x.identity(), y.identity());
    const auto found = made_.find(key);
    return found != made_.end() ? found->second : made_.emplace(key, make()).first->second;
  }

 private:
  std::map<std::pair<Identity, Identity>, Factors> made_;
};

Factors normal(const Factors& factors, const std::string& writer) {
  const auto width = [](std::initializer_list<const at::Tensor*> tensors) -> int64_t {
    for (const at::Tensor* t : tensors) {
      if (t->defined()) return t->size(-1);
    }
    return 0;
  };
  const Factors& f = factors;
  return f.checked(writer, width({&f.s, &f.u, &f.a, &f.shift}), width({&f.c, &f.b}));
}

// In the order of a run.
bool before(const WriterKey& x, const WriterKey& y) {
  return std::tie(x.layer, x.kind, x.expert) < std::tie(y.layer, y.kind, y.expert);
}

Base merged(const Base& x, const Base& y) {
  const bool alike = x.sha256 == y.sha256 || x.sha256.empty() || y.sha256.empty();
  const bool named = x.name == y.name || x.name.empty() || y.name.empty();
  TORCH_CHECK_VALUE(alike && named, "the edits were made for different tensors '", x.name,
                    "' and '", y.name, "' (SHA-256 ", x.sha256, " and ", y.sha256, ")");
  return {x.name.empty() ? y.name : x.name, x.sha256.empty() ? y.sha256 : x.sha256};
}

std::string both(const std::string& x, const std::string& y) {
  return x.empty() || x == y ? y : y.empty() ? x : x + ", " + y;
}

Json provenance_of(const char* method, const std::vector<const Edit*>& edits) {
  Json of = Json::array(), json = Json::object();
  for (const Edit* edit : edits) {
    Json one = edit->provenance();
    if (!one.is_object()) one = Json::object();
    one.set("edit", edit->id());
    if (one.contains("model")) json.set("model", one.at("model"));
    of.push_back(one);
  }
  json.set("method", method);
  json.set("of", of);
  return json;
}

std::map<std::string, const Part*> by_writer(const Edit& edit) {
  std::map<std::string, const Part*> parts;
  for (const Part& part : edit.parts()) parts[part.writer] = &part;
  return parts;
}

std::shared_ptr<Edit> combined(const Edit& first, const Edit& second, OfTwo combine,
                               const char* method) {
  TORCH_CHECK_VALUE(first.rows() == 0 || second.rows() == 0 || first.rows() == second.rows(),
                    "the edits have ", first.rows(), " and ", second.rows(),
                    " rows, expected as many");
  const auto others = by_writer(second);
  std::vector<Part> parts;
  Remembered remembered;
  for (const Part& one : first.parts()) {
    const auto found = others.find(one.writer);
    if (found == others.end()) {
      parts.push_back(one);
      continue;
    }
    const Part& two = *found->second;
    Part part = one;
    part.factors = remembered(one.factors, two.factors, [&] {
      return normal(combine(one.factors, two.factors, one.writer), one.writer);
    });
    part.weight = merged(one.weight, two.weight);
    part.bias = merged(one.bias, two.bias);
    part.unties = one.unties || two.unties;
    part.note = both(one.note, two.note);
    parts.push_back(std::move(part));
  }
  const auto own = by_writer(first);
  for (const Part& two : second.parts()) {
    if (!own.contains(two.writer)) parts.push_back(two);
  }
  std::ranges::sort(parts, before, &Part::key);
  std::vector<Untouched> untouched;
  for (const Untouched& writer : first.untouched()) {
    if (!others.contains(writer.writer)) untouched.push_back(writer);
  }
  return std::make_shared<Edit>(std::move(parts), std::move(untouched),
                                provenance_of(method, {&first, &second}));
}

std::shared_ptr<Edit> each(const Edit& edit, const char* method,
                           const std::function<Factors(const Part&)>& change) {
  std::vector<Part> parts = edit.parts();
  Remembered remembered;
  for (Part& part : parts) {
    part.factors = remembered(part.factors, {}, [&] { return normal(change(part), part.writer); });
  }
  return std::make_shared<Edit>(std::move(parts), edit.untouched(), provenance_of(method, {&edit}));
}

Json listed(const std::vector<int64_t>& numbers) {
  Json list = Json::array();
  for (int64_t number : numbers) list.push_back(number);
  return list;
}

}  // namespace

std::shared_ptr<Edit> sum(const Edit& first, const Edit& second) {
  return combined(first, second, static_cast<OfTwo>(sum), "sum");
}

std::shared_ptr<Edit> composed(const Edit& first, const Edit& then) {
  return combined(first, then, static_cast<OfTwo>(composed), "composition");
}

std::shared_ptr<Edit> scaled(const Edit& edit, double t) {
  TORCH_CHECK_VALUE(std::isfinite(t), "scale is ", t, ", expected a finite number");
  auto result =
      each(edit, "scaled", [&](const Part& part) { return scaled(part.factors, t, part.writer); });
  Json provenance = result->provenance();
  provenance.set("scale", t);
  return std::make_shared<Edit>(result->parts(), result->untouched(), provenance);
}

std::shared_ptr<Edit> inverse(const Edit& edit) {
  auto result =
      each(edit, "inverse", [](const Part& part) { return inverse(part.factors, part.writer); });
  std::vector<Part> parts = result->parts();
  for (Part& part : parts) {
    part.weight.sha256 = part.bias.sha256 = "";  // of what the edit makes, which nobody has seen
    part.unties = false;
  }
  return std::make_shared<Edit>(std::move(parts), result->untouched(), result->provenance());
}

std::shared_ptr<Edit> restricted(const Edit& edit, const Restriction& to) {
  std::vector<WriterSite> sites;
  for (const Part& part : edit.parts()) {
    WriterSite site;
    site.name = part.writer;
    site.kind = part.key.kind;
    sites.push_back(site);
  }
  const Targets targets = choose_writers(sites, to.writers);
  std::vector<Part> parts;
  std::vector<Untouched> untouched = edit.untouched();
  const auto among = [](const std::vector<int64_t>& list, int64_t number) {
    return list.empty() || std::ranges::find(list, number) != list.end();
  };
  for (const Part& part : edit.parts()) {
    std::string why;
    const auto reason = targets.reasons.find(part.writer);
    if (reason != targets.reasons.end()) why = reason->second;
    if (!among(to.layers, part.key.layer)) why = "not in the layers asked for";
    const bool expert = part.key.kind == WriterKind::expert;
    if (expert && !among(to.experts, part.key.expert)) why = "not among the experts asked for";
    if (why.empty()) {
      parts.push_back(part);
    } else {
      untouched.push_back({part.writer, part.key.kind, why});
    }
  }
  TORCH_CHECK_VALUE(!parts.empty(),
                    "nothing of the edit is left: none of its writers is in the "
                    "layers, experts and writers asked for");
  Json provenance = provenance_of("restriction", {&edit}), writers = Json::array();
  for (const std::string& writer : to.writers) writers.push_back(writer);
  provenance.set("writers", writers);
  if (!to.layers.empty()) provenance.set("layers", listed(to.layers));
  if (!to.experts.empty()) provenance.set("experts", listed(to.experts));
  return std::make_shared<Edit>(std::move(parts), std::move(untouched), provenance);
}

}  // namespace lenswright
