#include "merge/assembly.h"

#include <set>
#include <stdexcept>

#include "base/error.h"
#include "base/narrow.h"
#include "base/philox.h"
#include "base/widen.h"
#include "merge/kernel.h"
#include "merge/plan_layout.h"
#include "merge/refuse.h"

namespace lenswright {
namespace {

class Assembled final : public Work {
 public:
  explicit Assembled(const Task& task)
      : scale_(task.own.front().at("scale")),
        noise_(task.own.front().at("noise")),
        random_(task.seed, task.tensor) {}

  void write(int64_t, const Strip& strip, double* out) override {
    scale(scale_, strip.x[0], strip.count, out);
    if (noise_ == 0) return;
    for (int64_t i = 0; i < strip.count; ++i) {
      out[i] += noise_ * random_.normal(static_cast<uint64_t>(strip.first + i));
    }
  }

 private:
  double scale_, noise_;
  Philox random_;
};

const Method& assembly_method() {
  static const Method method = [] {
    Method made;
    made.name = "assembly";
    made.source = "the tensor itself";
    made.most = 1;
    made.parameters = {{"scale", true, false, 1.0}, {"noise", true, false, 0.0}};
    made.start = [](const Task& task) -> std::unique_ptr<Work> {
      return std::make_unique<Assembled>(task);
    };
    return made;
  }();
  return method;
}

std::shared_ptr<const Input> known_input(const Inputs& inputs, const std::string& name) {
  std::vector<std::string> names;
  for (const auto& one : inputs) {
    if (one->name() == name) return one;
    names.push_back(one->name());
  }
  refuse("no model " + in_quotes(name) + did_you_mean(name, names));
}

const TensorInfo& known_tensor(const Input& input, const std::string& name) {
  if (const TensorInfo* found = input.find(name)) return *found;
  std::vector<std::string> names;
  for (const TensorInfo& one : input.tensors()) names.push_back(one.name);
  refuse("model " + in_quotes(input.name()) + " has no tensor " + in_quotes(name) +
         did_you_mean(name, names));
}

Job job_of(const AssembledTensor& piece, const Inputs& inputs) {
  Job job;
  job.name = piece.name;
  job.method = &assembly_method();
  const auto input = known_input(inputs, piece.input);
  const TensorInfo& info = known_tensor(*input, piece.tensor);
  job.operands.push_back({input, &info, {}, nullptr, std::nullopt});
  job.operands.front().own.set("scale", piece.scale);
  job.operands.front().own.set("noise", piece.noise);
  job.shape = info.shape;
  job.dtype = piece.dtype.value_or(input->stored(info));
  const bool as_it_is = piece.scale == 1 && piece.noise == 0 && job.dtype == info.dtype;
  job.copy = as_it_is && input->stored(info) == info.dtype && input->holder(info) != nullptr;
  if (!job.copy && (!can_widen(info.dtype) || !can_narrow(job.dtype))) {
    refuse("tensor " + in_quotes(piece.tensor) + " of " + in_quotes(piece.input) + " is of type " +
           std::string(wire_name(info.dtype)) + ", which cannot be written as " +
           std::string(wire_name(job.dtype)) + "; expected floating-point tensors");
  }
  return job;
}

}  // namespace

MergePlan plan_assembly(const Inputs& inputs, const std::string& donor,
                        const std::vector<AssembledTensor>& pieces, const Json& config,
                        const MergeOptions& options) {
  MergePlan plan;
  plan.options = options;
  plan.inputs = inputs;
  plan.donor = known_input(inputs, donor);
  plan.config = config;
  std::set<std::string> names;
  std::set<const TensorInfo*> used;
  for (const AssembledTensor& piece : pieces) {
    if (!names.insert(piece.name).second)
      refuse("tensor " + in_quotes(piece.name) + " is made twice");
    plan.jobs.push_back(job_of(piece, inputs));
    used.insert(plan.jobs.back().operands.front().info);
  }
  if (plan.jobs.empty()) refuse("no tensors to put together");
  for (const auto& one : inputs) {
    for (const TensorInfo& tensor : one->tensors()) {
      if (!used.contains(&tensor))
        plan.unused.push_back({one->name(), tensor.name, "not asked for"});
    }
  }
  plan.shards = shards_of(plan.jobs, options.shard_bytes);
  return plan;
}

}  // namespace lenswright
