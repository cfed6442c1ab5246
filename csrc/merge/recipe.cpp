#include "merge/recipe.h"

#include <algorithm>

#include "base/text.h"
#include "merge/recipe_parameters.h"
#include "merge/refuse.h"

namespace lenswright {
namespace {

void check_keys(const Json& object, const std::vector<std::string>& known) {
  for (const std::string& key : object.keys()) {
    if (std::ranges::find(known, key) != known.end()) continue;
    const std::string near = did_you_mean(key, known);
    refuse(object.where() + ": unknown key " + in_quotes(key) +
           (near.empty() ? "; expected " + listed(known) : near));
  }
}

bool given(const Json& object, std::string_view key) {
  return object.contains(key) && !object.at(key).is_null();
}

std::vector<Json> list(const Json& value, std::string_view of) {
  if (!value.is_array() || value.size() == 0) {
    refuse(value.where() + " is " + value.dump() + ", expected a list of " + std::string(of));
  }
  return value.elements();
}

class Reader {
 public:
  explicit Reader(const Json& document) : document_(document) {}

  Recipe read() {
    static const std::vector<std::string> kKeys = {
        "merge_method",     "base_model", "models",        "slices",
        "modules",          "parameters", "dtype",         "out_dtype",
        "tokenizer_source", "tokenizer",  "chat_template", "name"};
    if (!document_.is_object()) {
      refuse(document_.where() + ": expected keys such as merge_method and models, found " +
             std::string(document_.type_name()));
    }
    check_keys(document_, kKeys);
    if (!given(document_, "merge_method")) refuse(document_.where() + ": no merge_method");
    recipe_.method = &merge_method(document_.at("merge_method").as_string());
    recipe_.text = document_;
    if (given(document_, "name")) recipe_.name = document_.at("name").as_string();
    if (given(document_, "base_model")) recipe_.base = document_.at("base_model").as_string();
    recipe_.parameters = settings(document_, true);
    read_parts();
    recipe_.dtype = dtype("dtype");
    recipe_.out_dtype = dtype("out_dtype");
    read_tokenizer();
    return std::move(recipe_);
  }

 private:
  void read_parts() {
    std::vector<std::string> parts;
    for (const char* key : {"models", "slices", "modules"}) {
      if (given(document_, key)) parts.emplace_back(key);
    }
    if (parts.size() != 1) {
      refuse(document_.where() + ": expected exactly one of models, slices and modules, found " +
             (parts.empty() ? "none" : listed(parts)));
    }
    if (parts.front() != "modules") {
      recipe_.modules.push_back(module("", document_));
      return;
    }
    const Json modules = document_.at("modules");
    if (!modules.is_object() || modules.size() == 0) {
      refuse(modules.where() + " is " + modules.dump() + ", expected modules by name");
    }
    for (const std::string& name : modules.keys()) {
      const Json one = modules.at(name);
      check_keys(one, {"models", "slices", "parameters"});
      if (given(one, "models") == given(one, "slices")) {
        refuse(one.where() + ": expected either models or slices");
      }
      recipe_.modules.push_back(module(name, one));
      recipe_.modules.back().parameters = settings(one, true);
    }
  }

  RecipeModule module(const std::string& name, const Json& from) {
    RecipeModule out;
    out.name = name;
    out.sliced = given(from, "slices");
    if (!out.sliced) {
      RecipeSlice slice;
      slice.where = from.at("models").where();
      for (const Json& model : list(from.at("models"), "models")) {
        slice.sources.push_back(source(model, false));
      }
      out.slices.push_back(std::move(slice));
      return out;
    }
    for (const Json& one : list(from.at("slices"), "slices")) out.slices.push_back(slice(one));
    return out;
  }

  RecipeSlice slice(const Json& from) {
    if (!from.is_object()) refuse(from.where() + " is " + from.dump() + ", expected {sources}");
    if (given(from, "residual_weight")) {
      refuse(from.where() + ".residual_weight has no effect, in mergekit neither; take it out");
    }
    check_keys(from, {"sources", "base_model", "parameters", "residual_weight"});
    RecipeSlice out;
    out.where = from.where();
    for (const Json& one : list(from.at("sources"), "sources")) {
      out.sources.push_back(source(one, true));
    }
    if (given(from, "base_model")) out.base = from.at("base_model").as_string();
    out.parameters = settings(from, true);
    return out;
  }

  RecipeSource source(const Json& from, bool sliced) {
    if (!from.is_object()) refuse(from.where() + " is " + from.dump() + ", expected {model}");
    check_keys(from, sliced ? std::vector<std::string>{"model", "layer_range", "parameters"}
                            : std::vector<std::string>{"model", "parameters"});
    RecipeSource out;
    out.where = from.where();
    if (!given(from, "model")) refuse(from.where() + ": no model");
    out.model = from.at("model").as_string();
    if (out.model.empty()) refuse(from.where() + ".model is empty, expected a path or a hub id");
    out.parameters = settings(from, false);
    if (given(from, "layer_range")) out.layers = layers(from.at("layer_range"));
    return out;
  }

  static std::pair<int64_t, int64_t> layers(const Json& range) {
    const std::string expected =
        range.where() + " is " + range.dump() + ", expected [first, last), both whole numbers";
    if (!range.is_array() || range.size() != 2) refuse(expected);
    for (const Json& end : range.elements()) {
      if (!end.is_integer()) refuse(expected);
    }
    const int64_t first = range.at(size_t{0}).as_int(), last = range.at(size_t{1}).as_int();
    if (first < 0 || last < first) refuse(expected + ", 0 <= first <= last");
    return {first, last};
  }

  Settings settings(const Json& from, bool shared) const {
    if (!given(from, "parameters")) return {};
    return read_parameters(from.at("parameters"), *recipe_.method, shared);
  }

  std::optional<Dtype> dtype(std::string_view key) const {
    static const std::vector<std::pair<std::string, Dtype>> kNames = {{"bfloat16", Dtype::bf16},
                                                                      {"float16", Dtype::f16},
                                                                      {"float32", Dtype::f32},
                                                                      {"float64", Dtype::f64}};
    if (!given(document_, key)) return std::nullopt;
    const std::string name = document_.at(key).as_string();
    std::vector<std::string> names;
    for (const auto& [known, type] : kNames) {
      if (known == name) return type;
      names.push_back(known);
    }
    refuse(std::string(key) + " is " + in_quotes(name) + did_you_mean(name, names) +
           (did_you_mean(name, names).empty() ? ", expected " : " Expected ") + listed(names));
  }

  void read_tokenizer() {
    if (given(document_, "chat_template")) {
      recipe_.chat_template = document_.at("chat_template").as_string();
    }
    if (given(document_, "tokenizer_source")) {
      if (given(document_, "tokenizer")) {
        refuse(document_.where() + ": tokenizer_source and tokenizer exclude each other");
      }
      recipe_.tokenizer = Json::object();
      recipe_.tokenizer.set("source", document_.at("tokenizer_source").as_string());
      return;
    }
    if (!given(document_, "tokenizer")) return;
    recipe_.tokenizer = document_.at("tokenizer");
    if (!recipe_.tokenizer.is_object()) {
      refuse(recipe_.tokenizer.where() + " is " + recipe_.tokenizer.dump() + ", expected {source}");
    }
    check_keys(recipe_.tokenizer, {"source", "tokens", "pad_to_multiple_of"});
  }

  const Json& document_;
  Recipe recipe_;
};

}  // namespace

Recipe parse_recipe(const Json& document) { return Reader(document).read(); }

std::vector<std::string> Recipe::models() const {
  std::vector<std::string> out;
  const auto add = [&](const std::string& model) {
    if (std::ranges::find(out, model) == out.end()) out.push_back(model);
  };
  for (const RecipeModule& module : modules) {
    for (const RecipeSlice& slice : module.slices) {
      for (const RecipeSource& source : slice.sources) add(source.model);
      if (slice.base) add(*slice.base);
    }
  }
  if (base) add(*base);
  return out;
}

}  // namespace lenswright
