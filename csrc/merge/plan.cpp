#include "merge/plan.h"

#include <algorithm>
#include <set>

#include "merge/names.h"
#include "merge/plan_account.h"
#include "merge/plan_config.h"
#include "merge/plan_job.h"
#include "merge/plan_layout.h"
#include "merge/plan_parts.h"
#include "merge/refuse.h"
#include "merge/stacks.h"

namespace lenswright {
namespace {

// Names, each once, in the order in which they were first seen.
class Names {
 public:
  void add(const std::string& name) {
    if (seen_.insert(name).second) all_.push_back(name);
  }
  const std::vector<std::string>& all() const { return all_; }

 private:
  std::vector<std::string> all_;
  std::set<std::string> seen_;
};

class Planner {
 public:
  Planner(const Recipe& recipe, const Inputs& inputs, const MergeOptions& options)
      : recipe_(recipe), maker_(recipe, plan_.options, plan_.notes), stacks_(inputs) {
    plan_.options = options;
    plan_.inputs = inputs;
  }

  MergePlan plan() {
    plan_.donor = input_of(plan_.inputs, recipe_.base.value_or(recipe_.models().front()));
    check_inputs(recipe_, plan_);
    for (const RecipeModule& module : recipe_.modules) add(module);
    if (plan_.jobs.empty()) refuse("the models have no tensors");
    check_made_once(plan_.jobs);
    plan_.unused = account_.unused(plan_.inputs);
    if (!plan_.donor->config().is_null()) plan_.config = merged_config(plan_, origins_);
    plan_.shards = shards_of(plan_.jobs, plan_.options.shard_bytes);
    return std::move(plan_);
  }

 private:
  bool strict() const { return plan_.options.mode == Mode::strict; }

  // --- tensors ----------------------------------------------------------------------------------

  void add(const RecipeModule& module) {
    std::vector<Parts> slices;
    for (const RecipeSlice& slice : module.slices)
      slices.push_back(parts_of(recipe_, module, slice, plan_.inputs, plan_.options.mode));
    if (!module.sliced) return add_whole(module, slices.front());
    add_sliced(module, slices);
  }

  // A module's tensors are those that have its name as a word; text_decoder is whatever no other
  // module of the recipe names.
  bool belongs(const RecipeModule& module, const std::string& tensor) const {
    if (module.name.empty()) return true;
    const auto names = [&](const std::string& name) {
      return ("." + tensor).find("." + name + ".") != std::string::npos;
    };
    if (module.name != "text_decoder") return names(module.name);
    return std::ranges::none_of(recipe_.modules, [&](const RecipeModule& other) {
      return other.name != module.name && names(other.name);
    });
  }

  void add_whole(const RecipeModule& module, const Parts& parts) {
    check_layers_agree(parts);
    Names names;
    const auto collect = [&](const Input& one) {
      for (const TensorInfo& tensor : one.tensors()) {
        if (belongs(module, tensor.name)) names.add(tensor.name);
      }
    };
    for (const SlicePart& part : parts.parts) {
      if (part.input == plan_.donor) collect(*part.input);
    }
    for (const SlicePart& part : parts.parts) collect(*part.input);
    if (names.all().empty()) refuse("modules: no tensor belongs to " + in_quotes(module.name));
    make_each(names, parts);
  }

  static double along(int64_t layer, int64_t layers) {
    return layers > 1 ? std::min(1.0, static_cast<double>(layer) / static_cast<double>(layers - 1))
                      : 1.0;
  }

  double outside_depth(const std::string& name) const {
    return strict() && comes_last(name) ? 1.0 : 0.0;
  }

  double depth_of(const std::string& name, const Input& of) {
    const auto place = layer_of(name);
    if (!place) return outside_depth(name);
    return along(place->layer, stacks_.layers(of, place->stack));
  }

  // The head's bias never is.
  static bool may_be_tied(const std::string& name) {
    return is_head(name) && !layer_of(name) && !name.ends_with(".bias");
  }

  const TensorInfo* find(const SlicePart& part, const std::string& name) const {
    if (const TensorInfo* info = part.input->find(name)) return info;
    if (!may_be_tied(name) || !ties_embeddings(part.input->config())) return nullptr;
    for (const TensorInfo& tensor : part.input->tensors()) {
      if (!layer_of(tensor.name) && is_token_embedding(tensor.name)) return &tensor;
    }
    return nullptr;
  }

  void make_each(const Names& names, const Parts& parts) {
    for (const std::string& name : names.all()) {
      make(name, depth_of(name, *parts.parts.front().input), parts,
           [&](const SlicePart& part) { return find(part, name); });
    }
  }

  template <typename Find>
  void make(const std::string& name, double depth, const Parts& parts, Find find) {
    const bool tied =
        may_be_tied(name) && std::ranges::all_of(parts.parts, [](const SlicePart& part) {
          return ties_embeddings(part.input->config());
        });
    std::vector<const TensorInfo*> found;
    for (const SlicePart& part : parts.parts) found.push_back(find(part));
    auto job = tied ? std::nullopt : maker_.make(name, depth, parts, found);
    if (!job)
      return leave_out(found, tied ? "tied to the embedding in every model" : maker_.why_not());
    for (const Operand& operand : job->operands) account_.use(operand.info);
    if (job->copy) {  // the others hold the same bytes
      for (const TensorInfo* info : found) account_.use(info);
    }
    plan_.jobs.push_back(std::move(*job));
  }

  void leave_out(const std::vector<const TensorInfo*>& found, const std::string& why) {
    for (const TensorInfo* info : found) account_.leave_out(info, why);
  }

  // --- slices -----------------------------------------------------------------------------------

  void add_sliced(const RecipeModule& module, std::vector<Parts>& slices) {
    const std::string stack = stacks_.main(*slices.front().parts.front().input);
    for (size_t i = 0; i < slices.size(); ++i)
      check_ranges(module.slices[i], slices[i], stacks_, stack);
    add_outside(module, slices.front(), stack, false);
    int64_t next = 0;
    for (const Parts& slice : slices) {
      const auto [first, last] = *slice.parts.front().layers;
      for (int64_t i = 0; i < last - first; ++i) add_layer(slice, stack, i, last - first, next++);
    }
    if (next == 0) refuse("slices: they hold no layers");
    Parts ends = slices.back();
    // mergekit takes as many models for the last tensors as the first slice has.
    const size_t first_count = slices.front().parts.size();
    if (!strict() && ends.parts.size() > first_count) {
      ends.parts.resize(first_count);
      if (ends.base >= static_cast<int>(first_count)) ends.base = -1;
    }
    add_outside(module, ends, stack, true);
  }

  void add_layer(const Parts& slice, const std::string& stack, int64_t index, int64_t length,
                 int64_t number) {
    Names rests;
    for (const SlicePart& part : slice.parts) {
      const int64_t layer = part.layers->first + index;
      for (const std::string& rest : stacks_.rests(*part.input, stack, layer)) rests.add(rest);
    }
    const auto origin = static_cast<size_t>(std::max(slice.base, 0));
    origins_.push_back({slice.parts[origin].input, slice.parts[origin].layers->first + index});
    for (const std::string& rest : rests.all()) {
      make(stack + std::to_string(number) + rest, along(index, length), slice,
           [&](const SlicePart& part) {
             return part.input->find(stack + std::to_string(part.layers->first + index) + rest);
           });
    }
  }

  // What is not in a layer of the stack: before it, or after it.
  void add_outside(const RecipeModule& module, const Parts& parts, const std::string& stack,
                   bool last) {
    Names names;
    for (const SlicePart& part : parts.parts) {
      for (const TensorInfo& tensor : part.input->tensors()) {
        const auto place = layer_of(tensor.name);
        if (!belongs(module, tensor.name) || (place && place->stack == stack)) continue;
        if ((!place && comes_last(tensor.name)) != last) continue;
        names.add(tensor.name);
      }
    }
    make_each(names, parts);
  }

  const Recipe& recipe_;
  MergePlan plan_;
  JobMaker maker_;
  Stacks stacks_;
  std::vector<LayerOrigin> origins_;
  TensorAccount account_;
};

}  // namespace

uint64_t MergePlan::read_bytes() const {
  uint64_t sum = 0;
  for (const Job& job : jobs) {
    for (const Operand& operand : job.operands) sum += operand.info->bytes();
  }
  return sum;
}

uint64_t MergePlan::write_bytes() const {
  uint64_t sum = 0;
  for (const Job& job : jobs) sum += job.bytes();
  return sum;
}

MergePlan plan_merge(const Recipe& recipe, const Inputs& inputs, const MergeOptions& options) {
  return Planner(recipe, inputs, options).plan();
}

}  // namespace lenswright
