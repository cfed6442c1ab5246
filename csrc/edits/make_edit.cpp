#include "edits/make_edit.h"

#include <ATen/ATen.h>

#include "edits/changes.h"
#include "edits/hashes.h"
#include "edits/targets.h"

namespace lenswright {
namespace {

Part part_of(const Model& model, const WriterSite& writer, const Factors& factors, OnceEach& once) {
  check_shift(writer, factors);
  Part part{writer.name, writer.key(), {}, {writer.weight, ""}, {}};
  part.factors = factors.checked(writer.name, writer.outputs, writer.inputs, once);
  if (factors.changes_bias()) part.bias.name = writer.bias;
  part.unties = model.spec().tied && writer.kind == WriterKind::token_embedding;
  return part;
}

void note_hashes(const Model& model, std::vector<Part>& parts) {
  std::vector<Base*> bases;
  std::vector<std::shared_ptr<Stored>> tensors;
  for (Part& part : parts) {
    for (Base* base : {&part.weight, &part.bias}) {
      if (base->name.empty()) continue;
      bases.push_back(base);
      tensors.push_back(model.stored(base->name));
    }
  }
  const std::vector<std::string> hashes = sha256_of(tensors);
  for (size_t i = 0; i < bases.size(); ++i) bases[i]->sha256 = hashes[i];
}

}  // namespace

std::shared_ptr<Edit> make_edit(const Model& model, const std::map<std::string, Factors>& factors,
                                const std::map<std::string, std::string>& reasons,
                                const std::map<std::string, std::string>& notes, Json provenance) {
  const WriterIndex index(model.writers());
  for (const auto& [name, unused] : factors) index.named(name);
  OnceEach once;
  std::vector<Part> parts;
  std::vector<Untouched> untouched;
  bool rows = false;
  for (const WriterSite& writer : model.writers()) {
    const auto found = factors.find(writer.name);
    if (found != factors.end() && !found->second.empty()) {
      parts.push_back(part_of(model, writer, found->second, once));
      const auto note = notes.find(writer.name);
      if (note != notes.end()) parts.back().note = note->second;
      rows = rows || found->second.rows() > 0;
      continue;
    }
    const auto reason = reasons.find(writer.name);
    untouched.push_back(
        {writer.name, writer.kind, reason == reasons.end() ? "no factors for it" : reason->second});
  }
  if (!rows) note_hashes(model, parts);  // edits of rows are never written
  return std::make_shared<Edit>(std::move(parts), std::move(untouched), std::move(provenance));
}

}  // namespace lenswright
