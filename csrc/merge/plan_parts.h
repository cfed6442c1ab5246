#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "merge/plan.h"
#include "merge/stacks.h"

namespace lenswright {

/// A source of a slice with what it is about.
struct SlicePart {
  std::shared_ptr<const Input> input;
  const Settings* own = nullptr;
  std::optional<std::pair<int64_t, int64_t>> layers;
};

/// The sources of a slice, the base among them where the method has one.
struct Parts {
  std::vector<SlicePart> parts;
  int base = -1;
  std::array<const Settings*, 3> levels{};  // of slice, module and recipe
};

/// The input of a name that a recipe has.
std::shared_ptr<const Input> input_of(const Inputs& inputs, const std::string& name);

/// std::invalid_argument where an input is quantised, or of another type than the donor.
void check_inputs(const Recipe& recipe, const MergePlan& plan);

/// The parts of a slice; std::invalid_argument where they are too few or too many for the method.
Parts parts_of(const Recipe& recipe, const RecipeModule& module, const RecipeSlice& slice,
               const Inputs& inputs, Mode mode);

/// std::invalid_argument where models that are merged whole have different numbers of layers.
void check_layers_agree(const Parts& parts);

/// std::invalid_argument where a part of a slice has no layers of `stack`, more than there are, or
/// more or fewer than the first part.
void check_ranges(const RecipeSlice& slice, const Parts& parts, const Stacks& stacks,
                  const std::string& stack);

/// The base first, then the others by their names; `found`: the tensor of each. Sums in another
/// order are other sums in their last digit, which an election of signs can see: this way the order
/// in a recipe changes no byte. Those of one name stay as they stand.
void put_in_order(Parts& parts, std::vector<const TensorInfo*>& found);

}  // namespace lenswright
