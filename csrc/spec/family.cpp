#include "spec/family.h"

#include <stdexcept>

#include "base/error.h"
#include "spec/families/families.h"

namespace lenswright {
namespace {

void refuse_quantised(const Json& config) {
  for (const char* key : {"quantization_config", "compression_config"}) {
    if (!config.contains(key) || config.at(key).is_null()) continue;
    const Json quantisation = config.at(key);
    std::string method = "unnamed";
    for (const char* name : {"quant_method", "format"}) {
      if (quantisation.is_object() && quantisation.contains(name)) {
        method = quantisation.at(name).as_string();
        break;
      }
    }
    throw std::invalid_argument("config.json: '" + std::string(key) + "' is " + method +
                                "; quantised checkpoints are not read, expected plain floating "
                                "point weights (dequantise it first)");
  }
}

}  // namespace

const std::vector<Family>& families() {
  static const std::vector<Family> list = {gpt2_family(), llama_family()};
  return list;
}

std::vector<Row> rows_in(const Family& family, const Spec& spec,
                         const std::function<bool(const std::string&)>& contains) {
  std::vector<Row> rows = family.rows(spec);
  for (const std::string& prefix : family.prefixes) {
    const std::string& first = rows.front().source;
    if (!first.starts_with(prefix) || contains(first)) continue;
    if (!contains(first.substr(prefix.size()))) continue;
    for (Row& row : rows) {
      if (row.source.starts_with(prefix)) row.source = row.source.substr(prefix.size());
    }
  }
  std::erase_if(rows, [&](const Row& row) { return row.optional && !contains(row.source); });
  return rows;
}

Row head_row(const Family& family, Spec spec) {
  spec.tied = false;
  return family.rows(spec).back();
}

const Family& family_of(const Json& config) {
  refuse_quantised(config);
  std::string architecture;
  if (config.contains("architectures") && config.at("architectures").is_array() &&
      config.at("architectures").size() > 0) {
    architecture = config.at("architectures").at(0).as_string();
  }
  const std::string type = config.contains("model_type") && config.at("model_type").is_string()
                               ? config.at("model_type").as_string()
                               : "";
  std::vector<std::string> known;
  for (const Family& family : families()) {
    if (family.architecture == architecture) return family;
    if (architecture.empty() && family.model_type == type) return family;
    known.push_back(family.architecture);
  }
  std::string list;
  for (const auto& name : known) list += (list.empty() ? "" : ", ") + name;
  throw std::invalid_argument("config.json: architectures is '" + architecture + "' (model_type '" +
                              type + "'), expected one of the families known: " + list +
                              did_you_mean(architecture, known));
}

}  // namespace lenswright
