#include "spec/family.h"

#include <algorithm>
#include <stdexcept>

#include "base/error.h"
#include "base/text.h"
#include "spec/families/families.h"
#include "spec/families/refused.h"
#include "spec/quantised.h"

namespace lenswright {
namespace {

[[noreturn]] void refuse(const std::string& what) {
  throw std::invalid_argument("config.json: " + what);
}

void check(const Routing& r) {
  const auto number = [](int64_t value) { return std::to_string(value); };
  if (r.groups < 1 || r.experts % r.groups != 0) {
    refuse(number(r.experts) + " experts are no multiple of " + number(r.groups) + " groups");
  }
  if (r.chosen_groups < 1 || r.chosen_groups > r.groups) {
    refuse(number(r.chosen_groups) + " of " + number(r.groups) +
           " groups of experts are chosen, expected 1 to " + number(r.groups));
  }
  const int64_t group = r.experts / r.groups;
  if (r.group_by_two && r.groups > 1 && group < 2) {
    refuse("a group has one expert, expected at least two (a group counts as its two best)");
  }
  const int64_t most = r.groups > 1 && r.group_by_two ? group * r.chosen_groups : r.experts;
  if (r.chosen < 1 || r.chosen > most) {
    refuse("each token chooses " + number(r.chosen) + " of " + number(most) +
           " experts, expected 1 to " + number(most));
  }
}

// What every family's arithmetic takes for granted.
void check(const Spec& spec) {
  const auto number = [](int64_t value) { return std::to_string(value); };
  if (spec.n_heads % spec.n_kv_heads != 0) {
    refuse("the number of heads, " + number(spec.n_heads) +
           ", is no multiple of the number of key-value heads, " + number(spec.n_kv_heads));
  }
  for (const Rope& rope : spec.ropes) {
    if (rope.dim >= 2 && rope.dim % 2 == 0 && rope.start + rope.dim <= spec.d_head) continue;
    refuse(number(rope.dim) + " numbers of a head rotate, expected an even number up to " +
           number(spec.d_head) + " (rotary positions turn pairs)");
  }
  for (int layer = 0; layer < spec.n_layers; ++layer) {
    if (spec.layers[static_cast<size_t>(layer)].mixture) check(spec.routing(layer));
  }
}

using Contains = std::function<bool(const std::string&)>;
using ShapeOf = std::function<std::vector<int64_t>(const std::string&)>;

Row renamed(Row row, const Renaming& renaming) {
  for (const auto& [from, to] : renaming) {
    if (!row.source.starts_with(from)) continue;
    row.source = to + row.source.substr(from.size());
    break;
  }
  return row;
}

// The renaming under which the token embedding is there; none where it is there as written, or not
// at all.
const Renaming* renaming_of(const Family& family, const std::vector<Row>& rows,
                            const Contains& contains) {
  if (contains(rows.front().source)) return nullptr;
  for (const Renaming& renaming : family.renamings) {
    if (contains(renamed(rows.front(), renaming).source)) return &renaming;
  }
  return nullptr;
}

// How much of what rows ask for is there: 0: not every name, 1: every name, 2: shapes too.
int fit(const std::vector<Row>& rows, const Contains& contains, const ShapeOf& shape) {
  const bool there = std::all_of(rows.begin(), rows.end(), [&](const Row& row) {
    return row.optional || contains(row.source);
  });
  if (!there) return 0;
  const bool fits = !shape || std::all_of(rows.begin(), rows.end(), [&](const Row& row) {
    return !contains(row.source) || shape(row.source) == row.stored_shape();
  });
  return fits ? 2 : 1;
}

// The layout that fits best, of equals the first.
std::vector<Row> named_rows(const Family& family, const Spec& spec, const Contains& contains,
                            const ShapeOf& shape) {
  std::vector<Row> best;
  int fitting = -1;
  for (const Family::RowsOf layout : family.layouts) {
    std::vector<Row> rows = layout(spec);
    if (const Renaming* renaming = renaming_of(family, rows, contains)) {
      for (Row& row : rows) row = renamed(std::move(row), *renaming);
    }
    if (family.layouts.size() == 1) return rows;
    const int own = fit(rows, contains, shape);
    if (own == 2) return rows;
    if (own <= fitting) continue;
    fitting = own;
    best = std::move(rows);
  }
  return best;
}

std::string text_at(const Json& config, std::string_view key) {
  const bool there = config.contains(key) && config.at(key).is_string();
  return there ? config.at(key).as_string() : "";
}

std::string architecture_of(const Json& config) {
  const bool there = config.contains("architectures") && config.at("architectures").is_array() &&
                     config.at("architectures").size() > 0;
  return there ? config.at("architectures").at(0).as_string() : "";
}

bool tells_of_text(const std::string& key) {
  for (const char* other : {"vision", "audio", "image", "video", "quant", "rope"}) {
    if (key.find(other) != std::string::npos) return false;
  }
  return true;
}

// Numbers of a config and of the objects in it, but for those of other towers and of files.
void collect_numbers(const Json& config, std::vector<std::pair<std::string, double>>& found) {
  for (const auto& [key, value] : config.items()) {
    if (value.is_number()) found.emplace_back(key, value.as_double());
    if (value.is_object() && tells_of_text(key)) collect_numbers(value, found);
  }
}

[[noreturn]] void refuse_unknown(const std::string& architecture, const std::string& type,
                                 const Json& config) {
  const std::string what = "architectures is '" + architecture + "' (model_type '" + type + "')";
  const std::string beyond = beyond_decoders(architecture, type, config);
  if (!beyond.empty()) {
    refuse(what + ", which has " + beyond +
           "; expected a decoder of attention and MLP blocks whose family is known");
  }
  std::vector<std::string> known;
  for (const Family& family : families()) {
    if (known.empty() || known.back() != family.architecture) known.push_back(family.architecture);
  }
  refuse(what + ", expected one of the families known: " + listed(known) +
         did_you_mean(architecture, known));
}

}  // namespace

const std::vector<Family>& families() {
  static const std::vector<Family> list = all_families();
  return list;
}

Spec spec_of(const Family& family, const Json& config) {
  Spec spec = family.read(config);
  if (spec.d_value == 0) spec.d_value = spec.d_head;
  check(spec);
  collect_numbers(config, spec.stated);
  for (std::string& key : quantisation_of(config).unknown_keys) {
    spec.unknown_keys.push_back(std::move(key));
  }
  return spec;
}

std::vector<Row> rows_in(const Family& family, const Spec& spec, const Contains& contains,
                         const ShapeOf& shape) {
  std::vector<Row> rows = named_rows(family, spec, contains, shape);
  std::erase_if(rows, [&](const Row& row) { return row.optional && !contains(row.source); });
  return rows;
}

Row head_row(const Family& family, Spec spec, const Contains& contains) {
  spec.tied = false;
  std::vector<Row> rows = family.layouts.front()(spec);
  const Renaming* renaming = renaming_of(family, rows, contains);
  return renaming ? renamed(rows.back(), *renaming) : rows.back();
}

const Family& family_of(const Json& config) {
  quantisation_of(config);  // refuses what is not read
  const std::string architecture = architecture_of(config), type = text_at(config, "model_type");
  std::vector<const Family*> found;
  for (const Family& family : families()) {
    const bool by_type = architecture.empty() && family.model_type == type;
    if (by_type || family.architecture == architecture) found.push_back(&family);
  }
  if (found.empty()) refuse_unknown(architecture, type, config);
  if (found.size() == 1) return *found.front();
  const Json text = config.contains("text_config") ? config.at("text_config") : Json::object();
  const std::string inner = text_at(text, "model_type");
  std::vector<std::string> known;
  for (const Family* family : found) {
    if (inner.empty() || family->text_type == inner) return *family;
    known.push_back(family->text_type);
  }
  refuse("text_config.model_type is '" + inner + "', expected one of the decoders known in " +
         found.front()->architecture + ": " + listed(known) + did_you_mean(inner, known));
}

}  // namespace lenswright
