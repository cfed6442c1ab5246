#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "io/json.h"
#include "merge/method.h"
#include "merge/setting.h"

namespace lenswright {

/// A model, or some of its layers, as a recipe names it.
struct RecipeSource {
  std::string model;
  std::optional<std::pair<int64_t, int64_t>> layers;  // [first, last)
  Settings parameters;
  std::string where;
};

/// Layers that follow the ones of the slice before.
struct RecipeSlice {
  std::vector<RecipeSource> sources;
  std::optional<std::string> base;
  Settings parameters;
  std::string where;
};

/// A part of a network with layers of its own; the whole of it where a recipe names none.
struct RecipeModule {
  std::string name;
  std::vector<RecipeSlice> slices;
  bool sliced = false;  // else `models`: one slice of all layers of each
  Settings parameters;
};

/// One document of the mergekit grammar, read and checked by itself; what needs the models is
/// checked by plan_merge.
struct Recipe {
  const Method* method = nullptr;
  std::string name;  // of a stage, "" for none
  std::optional<std::string> base;
  std::vector<RecipeModule> modules;
  Settings parameters;
  std::optional<Dtype> dtype, out_dtype;
  Json tokenizer;  // null, or {source, tokens, pad_to_multiple_of}
  std::string chat_template;
  Json text;  // as it was given

  /// Every model it names, each once, in order of appearance.
  std::vector<std::string> models() const;
};

/// Throws std::invalid_argument with the place in the recipe, what was expected and the nearest
/// name.
Recipe parse_recipe(const Json& document);

}  // namespace lenswright
