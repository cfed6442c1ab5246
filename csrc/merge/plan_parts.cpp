#include "merge/plan_parts.h"

#include <algorithm>
#include <numeric>
#include <stdexcept>

#include "base/error.h"
#include "merge/plan_config.h"
#include "merge/refuse.h"

namespace lenswright {
namespace {

void check_count(const Method& method, const RecipeSlice& slice, const Parts& parts) {
  const int others = static_cast<int>(parts.parts.size()) - (parts.base >= 0 ? 1 : 0);
  if (others >= method.least && others <= method.most) return;
  const std::string number = method.least == method.most
                                 ? "exactly " + std::to_string(method.least)
                                 : "at least " + std::to_string(method.least);
  const std::string beside = parts.base >= 0 ? " beside the base model" : "";
  refuse(slice.where + ": " + method.name + " merges " + number +
         (method.least == 1 ? " model" : " models") + beside + ", found " + std::to_string(others));
}

}  // namespace

std::shared_ptr<const Input> input_of(const Inputs& inputs, const std::string& name) {
  for (const auto& one : inputs) {
    if (one->name() == name) return one;
  }
  throw std::logic_error("no input " + name);
}

void check_inputs(const Recipe& recipe, const MergePlan& plan) {
  const Json& first = plan.donor->config();
  const bool passes = recipe.method->name == "passthrough" && !recipe.dtype && !recipe.out_dtype;
  for (const auto& one : plan.inputs) {
    const std::string how = quantised_by(one->config());
    if (!how.empty() && !passes) {
      refuse("model " + in_quotes(one->name()) + " is quantised by " + in_quotes(how) +
             ", so that its tensors are not its weights; expected floating-point weights");
    }
    const std::string type = model_type(one->config());
    if (type != model_type(first) && !plan.options.mix) {
      refuse("model " + in_quotes(one->name()) + " is of type " + in_quotes(type) + ", " +
             in_quotes(plan.donor->name()) + " of type " + in_quotes(model_type(first)) +
             "; --allow-crimes merges them all the same");
    }
  }
}

Parts parts_of(const Recipe& recipe, const RecipeModule& module, const RecipeSlice& slice,
               const Inputs& inputs, Mode mode) {
  Parts out;
  out.levels = {&slice.parameters, &module.parameters, &recipe.parameters};
  const Method& method = *recipe.method;
  const auto base = slice.base ? slice.base : recipe.base;
  const bool counts = method.base != Method::Base::none;
  if (method.base == Method::Base::required && !base) {
    refuse(slice.where + ": " + method.name + " needs a base_model");
  }
  for (const RecipeSource& source : slice.sources) {
    if (mode == Mode::compat && std::ranges::any_of(out.parts, [&](const SlicePart& part) {
          return part.input->name() == source.model;
        })) {
      continue;  // mergekit keeps one of each
    }
    if (counts && base && source.model == *base) {
      if (out.base >= 0) refuse(source.where + ": the base model is listed twice");
      out.base = static_cast<int>(out.parts.size());
    }
    out.parts.push_back({input_of(inputs, source.model), &source.parameters, source.layers});
  }
  const bool averaged_in = mode == Mode::compat && method.name == "karcher" && base &&
                           std::ranges::none_of(out.parts, [&](const SlicePart& part) {
                             return part.input->name() == *base;
                           });
  if ((counts && base && out.base < 0) || averaged_in) {
    if (counts) out.base = static_cast<int>(out.parts.size());
    out.parts.push_back({input_of(inputs, *base), nullptr, slice.sources.front().layers});
  }
  check_count(method, slice, out);
  return out;
}

void check_layers_agree(const Parts& parts) {
  const auto first = layers_of(parts.parts.front().input->config());
  for (const SlicePart& part : parts.parts) {
    const auto here = layers_of(part.input->config());
    if (here == first || !here || !first) continue;
    refuse("model " + in_quotes(part.input->name()) + " has " + std::to_string(*here) +
           " layers, " + in_quotes(parts.parts.front().input->name()) + " has " +
           std::to_string(*first) + "; expected the same number, or slices");
  }
}

void check_ranges(const RecipeSlice& slice, const Parts& parts, const Stacks& stacks,
                  const std::string& stack) {
  const auto length = [](const SlicePart& part) {
    return part.layers->second - part.layers->first;
  };
  for (const SlicePart& part : parts.parts) {
    const std::string who = slice.where + ": model " + in_quotes(part.input->name());
    if (!part.layers) refuse(who + " has no layer_range");
    const int64_t layers = stacks.layers(*part.input, stack);
    if (part.layers->second > layers) {
      refuse(who + ": layer_range is [" + std::to_string(part.layers->first) + ", " +
             std::to_string(part.layers->second) + "), but it has " + std::to_string(layers) +
             " layers");
    }
    if (length(part) != length(parts.parts.front())) {
      refuse(slice.where + ": the layer ranges are of different lengths, " +
             std::to_string(length(parts.parts.front())) + " and " + std::to_string(length(part)));
    }
  }
}

void put_in_order(Parts& parts, std::vector<const TensorInfo*>& found) {
  std::vector<size_t> order(parts.parts.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const auto base = static_cast<size_t>(parts.base);  // -1: no such place
  std::ranges::stable_sort(order, [&](size_t a, size_t b) {
    if ((a == base) != (b == base)) return a == base;
    return parts.parts[a].input->name() < parts.parts[b].input->name();
  });
  Parts sorted;
  sorted.levels = parts.levels;
  std::vector<const TensorInfo*> tensors;
  for (const size_t i : order) {
    sorted.parts.push_back(parts.parts[i]);
    tensors.push_back(found[i]);
  }
  sorted.base = parts.base < 0 ? -1 : 0;
  parts = std::move(sorted);
  found = std::move(tensors);
}

}  // namespace lenswright
