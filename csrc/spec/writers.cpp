#include "spec/writers.h"

#include <stdexcept>
#include <unordered_map>

namespace lenswright {
namespace {

using RowIndex = std::unordered_map<std::string, const Row*>;

std::string within_block(const WriterKey& key, const std::string& rest) {
  return "blocks." + std::to_string(key.layer) + "." + rest;
}

Site site_of(WriterKind kind) {
  switch (kind) {
    case WriterKind::token_embedding:
    case WriterKind::embedding_projection:
    case WriterKind::embedding_norm:
      return Site::embed;
    case WriterKind::positional_embedding:
      return Site::pos_embed;
    case WriterKind::attention:
      return Site::attn_raw_out;
    case WriterKind::mlp:
      return Site::mlp_raw_out;
    case WriterKind::expert:
      return Site::expert_out;
    case WriterKind::shared_expert:
      return Site::shared_out;
    case WriterKind::tensor:
      break;
  }
  throw std::logic_error("writer kind without a point");
}

// The norm a writer's output passes before it is added to the residual.
std::string norm_behind(const Spec& spec, const WriterKey& key) {
  if (key.kind == WriterKind::token_embedding || key.kind == WriterKind::embedding_projection) {
    return spec.embed_norm ? "embed.ln" : "";
  }
  if (key.layer < 0 || !spec.has_norm_after()) return "";
  return within_block(key, key.kind == WriterKind::attention ? "ln1_post" : "ln2_post");
}

// "W_out" -> "b_out"; "" where the writer is a vector or a table, which have none.
std::string bias_of(const WriterKey& key, std::string name) {
  const bool table = key.kind == WriterKind::token_embedding ||
                     key.kind == WriterKind::embedding_norm ||
                     key.kind == WriterKind::positional_embedding;
  if (table) return "";
  name[name.rfind("W_")] = 'b';
  return name;
}

void check(const WriterSite& site, const Row& row, const Row* bias) {
  const bool whole = row.outputs == row.stored && !row.in_runs();
  const bool alike = !bias || (bias->experts == row.experts && bias->expert == row.expert);
  if (!whole) throw std::logic_error(site.name + " is part of a tensor that others share");
  if (!alike) throw std::logic_error(site.name + " and its bias are stored in different ways");
}

class Lister {
 public:
  Lister(const Spec& spec, const std::vector<Row>& rows) : spec_(spec) {
    for (const Row& row : rows) rows_[row.canonical] = &row;
  }

  std::vector<WriterSite> list() {
    for (const WriterKind kind : {WriterKind::token_embedding, WriterKind::embedding_projection,
                                  WriterKind::embedding_norm, WriterKind::positional_embedding}) {
      add({kind});
    }
    for (int layer = 0; layer < spec_.n_layers; ++layer) {
      add({WriterKind::attention, layer});
      add({WriterKind::mlp, layer});
      for (int64_t i = 0; i < spec_.mixture.routing.experts; ++i) {
        add({WriterKind::expert, layer, i});
      }
      add({WriterKind::shared_expert, layer});
    }
    return std::move(list_);
  }

 private:
  const Row* row(const std::string& canonical) const {
    const auto found = rows_.find(canonical);
    return found == rows_.end() ? nullptr : found->second;
  }

  void add(const WriterKey& key) {
    if (!has_writer(spec_, key)) return;
    const std::string name = name_of(key);
    const Row* weight = row(name);
    if (!weight && key.kind == WriterKind::embedding_norm) return;  // a norm without a bias
    if (!weight) throw std::logic_error("the family has no row for " + name);
    const std::string bias_name = bias_of(key, name);
    const Row* bias = bias_name.empty() ? nullptr : row(bias_name);
    // A table has a row for each token or position, a vector is one row: the residual lies across.
    const bool table = bias_name.empty();
    WriterSite site{name,
                    key.kind,
                    {site_of(key.kind), key.layer},
                    weight->source,
                    bias ? bias->source : "",
                    table || weight->layout == Layout::in_out ? 1 : 0,
                    key.expert};
    if (weight->experts > 0) site.slice = weight->expert;
    const bool vector = weight->inputs == 0;
    site.outputs = table && !vector ? weight->inputs : weight->outputs;
    site.inputs = vector ? 1 : table ? weight->outputs : weight->inputs;
    site.norm = norm_behind(spec_, key);
    if (!site.norm.empty() && key.layer >= 0 && row(site.norm + ".b")) {
      throw std::logic_error(site.norm + " has a bias, which would be a writer nobody knows");
    }
    check(site, *weight, bias);
    list_.push_back(std::move(site));
  }

  const Spec& spec_;
  RowIndex rows_;
  std::vector<WriterSite> list_;
};

}  // namespace

std::string_view name_of(WriterKind kind) {
  switch (kind) {
    case WriterKind::token_embedding:
      return "token_embedding";
    case WriterKind::embedding_projection:
      return "embedding_projection";
    case WriterKind::embedding_norm:
      return "embedding_norm";
    case WriterKind::positional_embedding:
      return "positional_embedding";
    case WriterKind::attention:
      return "attention";
    case WriterKind::mlp:
      return "mlp";
    case WriterKind::expert:
      return "expert";
    case WriterKind::shared_expert:
      return "shared_expert";
    case WriterKind::tensor:
      return "tensor";
  }
  throw std::logic_error("unnamed writer kind");
}

std::string name_of(const WriterKey& key) {
  switch (key.kind) {
    case WriterKind::token_embedding:
      return "embed.W_E";
    case WriterKind::embedding_projection:
      return "embed.W_proj";
    case WriterKind::embedding_norm:
      return "embed.ln.b";
    case WriterKind::positional_embedding:
      return "pos_embed.W_pos";
    case WriterKind::attention:
      return within_block(key, "attn.W_O");
    case WriterKind::mlp:
      return within_block(key, "mlp.W_out");
    case WriterKind::expert:
      return within_block(key, "mlp.experts." + std::to_string(key.expert) + ".W_out");
    case WriterKind::shared_expert:
      return within_block(key, "mlp.shared.W_out");
    case WriterKind::tensor:
      break;
  }
  throw std::logic_error("unnamed writer kind");
}

bool has_writer(const Spec& spec, const WriterKey& key) {
  const bool in_block = key.layer >= 0 && key.layer < spec.n_layers;
  const bool mixture = in_block && spec.layers[static_cast<size_t>(key.layer)].mixture;
  switch (key.kind) {
    case WriterKind::token_embedding:
      return spec.d_embed == 0;
    case WriterKind::embedding_projection:
      return spec.d_embed > 0;
    case WriterKind::embedding_norm:
      return spec.embed_norm;
    case WriterKind::positional_embedding:
      return spec.position == PositionKind::learned;
    case WriterKind::attention:
      return in_block;
    case WriterKind::mlp:
      return in_block && !mixture;
    case WriterKind::expert:
      return mixture && key.expert >= 0 && key.expert < spec.mixture.routing.experts;
    case WriterKind::shared_expert:
      return mixture && spec.mixture.d_shared > 0;
    case WriterKind::tensor:
      return false;
  }
  throw std::logic_error("unnamed writer kind");
}

std::vector<WriterSite> writers(const Spec& spec, const std::vector<Row>& rows) {
  return Lister(spec, rows).list();
}

}  // namespace lenswright
