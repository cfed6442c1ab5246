#include "edits/low_rank.h"

#include <ATen/ATen.h>

#include "edits/hashes.h"
#include "edits/make_edit.h"
#include "edits/targets.h"
#include "edits/writer_values.h"

namespace lenswright {
namespace {

void check_base(const Model& model, const Part& part) {
  const auto& stored = model.stored(part.weight.name);
  TORCH_CHECK_VALUE(stored->edit.empty(), "tensor '", stored->name,
                    "' carries an edit; expected edit.revert(model) first");
  const std::string hash = sha256_of(std::vector{stored}).front();
  TORCH_CHECK_VALUE(part.weight.sha256.empty() || part.weight.sha256 == hash, "tensor '",
                    stored->name, "' has SHA-256 ", hash, ", but the edit was made for ",
                    part.weight.sha256);
}

LowRank low_rank_of(const Model& model, const WriterSite& writer, const Part& part) {
  const Factors& f = part.factors;
  TORCH_CHECK_VALUE(!f.s.defined() && !f.c.defined(), "the edit of '", part.writer, "' scales its ",
                    f.s.defined() ? "outputs" : "inputs",
                    ", which changes it by a matrix of full rank, expected one of low rank");
  check_base(model, part);
  LowRank change;
  if (f.u.defined()) {
    change.out = -f.u;
    change.in = WriterValues(model, writer).seen_along(f.v);
  }
  if (f.a.defined()) {
    change.out = change.out.defined() ? at::cat({change.out, f.a}) : f.a;
    change.in = change.in.defined() ? at::cat({change.in, f.b}) : f.b;
  }
  return change;
}

}  // namespace

std::map<std::string, LowRank> low_rank(const Model& model, const Edit& edit) {
  edit.check_single("this");
  const WriterIndex index(model.writers());
  std::map<std::string, LowRank> changes;
  for (const Part& part : edit.parts()) {
    const LowRank change = low_rank_of(model, index.named(part.writer), part);
    if (change.out.defined()) changes[part.writer] = change;
  }
  return changes;
}

std::shared_ptr<Edit> restricted_to_heads(const Model& model, const Edit& edit,
                                          const std::vector<int64_t>& heads) {
  edit.check_single("restricting to heads");
  const Spec& spec = model.spec();
  at::Tensor mask = at::zeros({spec.n_heads, spec.d_value}, at::kDouble);
  TORCH_CHECK_VALUE(!heads.empty(), "heads is empty, expected at least one");
  for (int64_t head : heads) {
    TORCH_CHECK_INDEX(head >= 0 && head < spec.n_heads, "heads has ", head, ", expected 0 to ",
                      spec.n_heads - 1);
    mask[head].fill_(1.0);
  }
  mask = mask.flatten();
  const WriterIndex index(model.writers());
  std::map<std::string, Factors> factors;
  std::map<std::string, std::string> reasons, notes;
  for (const Untouched& writer : edit.untouched()) reasons[writer.writer] = writer.reason;
  std::string listed;
  for (int64_t head : heads) listed += (listed.empty() ? "" : ", ") + std::to_string(head);
  for (const Part& part : edit.parts()) {
    if (part.key.kind != WriterKind::attention) {
      reasons[part.writer] = "it has no heads";
      continue;
    }
    const LowRank change = low_rank_of(model, index.named(part.writer), part);
    if (!change.out.defined()) {
      reasons[part.writer] = "the edit changes its bias only, which belongs to no head";
      continue;
    }
    Factors& own = factors[part.writer];
    own.a = change.out;
    own.b = change.in * mask;
    notes[part.writer] = "of heads " + listed + (part.bias.name.empty() ? "" : ", bias left alone");
  }
  TORCH_CHECK_VALUE(!factors.empty(), "nothing of the edit is left: it changes no attention");
  Json numbers = Json::array(), provenance = Json::object();
  for (int64_t head : heads) numbers.push_back(head);
  Json of = edit.provenance();
  if (!of.is_object()) of = Json::object();
  of.set("edit", edit.id());
  Json all = Json::array();
  all.push_back(of);
  provenance.set("method", "restriction");
  provenance.set("heads", numbers);
  provenance.set("of", all);
  return make_edit(model, factors, reasons, notes, provenance);
}

}  // namespace lenswright
