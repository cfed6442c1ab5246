#include "spec/writers.h"

#include <map>
#include <stdexcept>

namespace lenswright {
namespace {

using RowIndex = std::map<std::string, const Row*>;

WriterSite embedding(const RowIndex& rows, const std::string& name, WriterKind kind, Site site) {
  // A row per token or position: the residual lies along the second axis.
  return {name, kind, {site, -1}, rows.at(name)->source, "", 1};
}

WriterSite projection(const RowIndex& rows, int layer, const std::string& part, WriterKind kind,
                      const std::string& weight, const std::string& bias, Site site) {
  const std::string prefix = "blocks." + std::to_string(layer) + "." + part + ".";
  const Row& row = *rows.at(prefix + weight);
  const auto found = rows.find(prefix + bias);
  const std::string stored_bias = found == rows.end() ? "" : found->second->source;
  return {prefix + weight, kind,        {site, layer},
          row.source,      stored_bias, row.layout == Layout::out_in ? 0 : 1};
}

}  // namespace

std::string_view name_of(WriterKind kind) {
  switch (kind) {
    case WriterKind::token_embedding:
      return "token_embedding";
    case WriterKind::positional_embedding:
      return "positional_embedding";
    case WriterKind::attention:
      return "attention";
    case WriterKind::mlp:
      return "mlp";
  }
  throw std::logic_error("unnamed writer kind");
}

std::vector<WriterSite> writers(const Spec& spec, const std::vector<Row>& rows) {
  RowIndex index;
  for (const Row& row : rows) index[row.canonical] = &row;
  std::vector<WriterSite> list;
  list.push_back(embedding(index, "embed.W_E", WriterKind::token_embedding, Site::embed));
  if (spec.position == PositionKind::learned) {
    list.push_back(
        embedding(index, "pos_embed.W_pos", WriterKind::positional_embedding, Site::pos_embed));
  }
  for (int layer = 0; layer < spec.n_layers; ++layer) {
    list.push_back(
        projection(index, layer, "attn", WriterKind::attention, "W_O", "b_O", Site::attn_raw_out));
    list.push_back(
        projection(index, layer, "mlp", WriterKind::mlp, "W_out", "b_out", Site::mlp_raw_out));
  }
  return list;
}

}  // namespace lenswright
