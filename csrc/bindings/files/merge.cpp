#include <pybind11/functional.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <memory>
#include <optional>

#include "base/error.h"
#include "bindings/files/bindings.h"
#include "bindings/files/held_plan.h"
#include "bindings/files/progress.h"
#include "merge/journal.h"
#include "merge/memory.h"
#include "merge/run.h"

namespace py = pybind11;

namespace lenswright {
namespace {

Mode mode_of(const std::string& name) {
  if (name == "strict") return Mode::strict;
  if (name == "compat") return Mode::compat;
  throw std::invalid_argument("mode is " + in_quotes(name) + ", expected 'strict' or 'compat'");
}

// As bytes that may be written, since torch warns of others.
py::object array_of(const double* numbers, size_t count) {
  return py::memoryview::from_memory(static_cast<void*>(const_cast<double*>(numbers)),
                                     static_cast<py::ssize_t>(count * sizeof(double)));
}

// Python's function is called with the interpreter's lock; it must not keep what it is given.
Solver solver_of(const py::function& function) {
  const auto held = std::shared_ptr<py::function>(new py::function(function), [](auto* old) {
    const py::gil_scoped_acquire acquire;
    delete old;
  });
  return [held](const Task& task, const std::vector<std::span<const double>>& x,
                std::span<double> out) {
    const py::gil_scoped_acquire acquire;
    py::list inputs;
    for (const auto& one : x) inputs.append(array_of(one.data(), one.size()));
    (*held)(task.tensor, inputs, array_of(out.data(), out.size()));
  };
}

std::unique_ptr<HeldPlan> make_plan(const std::string& document, const std::string& where,
                                    const py::list& inputs, const std::string& mode, uint64_t seed,
                                    uint64_t shard_bytes, bool mix, const std::string& vocabulary,
                                    const std::optional<py::function>& solver) {
  auto held = std::make_unique<HeldPlan>();
  MergeOptions options{mode_of(mode), seed, shard_bytes, mix, Json()};
  if (!vocabulary.empty()) {
    ParseLimits limits;
    limits.values = 100'000'000;
    limits.bytes = size_t{1} << 32;
    options.vocabulary = Json::parse(vocabulary, "vocabulary", limits);
  }
  held->recipe = parse_recipe(Json::parse(document, where));
  const Recipe& recipe = held->recipe;
  const bool raw = recipe.method->name == "passthrough" && !recipe.dtype && !recipe.out_dtype;
  const Inputs opened = open_inputs(inputs, *held, raw);
  if (solver) options.solver = solver_of(*solver);
  const py::gil_scoped_release release;
  held->plan = plan_merge(held->recipe, opened, options);
  return held;
}

py::list jobs_of(const HeldPlan& held) {
  py::list out;
  for (const Job& job : held.plan.jobs) {
    py::list from;
    for (const Operand& operand : job.operands) {
      from.append(py::make_tuple(operand.input->name(), operand.info->name, operand.own.all()));
    }
    out.append(py::make_tuple(job.name, wire_name(job.dtype), job.shape,
                              job.copy ? "copy" : job.method->name, from, job.values.all(),
                              job.base));
  }
  return out;
}

py::list notes_of(const std::vector<TensorNote>& notes) {
  py::list out;
  for (const TensorNote& note : notes) {
    out.append(py::make_tuple(note.tensor, note.not_finite, note.remark));
  }
  return out;
}

py::list run_into_folder(const HeldPlan& held, const std::filesystem::path& output,
                         const SmallFiles& files, py::object callback, int threads, bool resume,
                         uint64_t memory) {
  Progress progress(python_report(std::move(callback)));
  std::vector<TensorNote> notes;
  {
    const py::gil_scoped_release release;
    notes = run_merge(held.plan, output, files, &progress, {threads, memory, resume});
  }
  return notes_of(notes);
}

py::tuple run_into_memory(const HeldPlan& held, py::object callback, int threads) {
  py::list tensors;
  std::vector<std::span<std::byte>> room;
  for (const Job& job : held.plan.jobs) {
    py::bytearray bytes;
    if (PyByteArray_Resize(bytes.ptr(), static_cast<py::ssize_t>(job.bytes())) != 0) {
      throw py::error_already_set();
    }
    room.emplace_back(reinterpret_cast<std::byte*>(PyByteArray_AS_STRING(bytes.ptr())),
                      job.bytes());
    tensors.append(py::make_tuple(job.name, wire_name(job.dtype), job.shape, bytes));
  }
  Progress progress(python_report(std::move(callback)));
  std::vector<TensorNote> notes;
  {
    const py::gil_scoped_release release;
    notes = run_merge(held.plan, room, &progress, threads);
  }
  return py::make_tuple(tensors, notes_of(notes));
}

}  // namespace

void bind_merge(py::module_& m) {
  py::class_<HeldPlan>(m, "MergePlan", "All that a merge will do, checked before the first byte.")
      .def_property_readonly("jobs", &jobs_of,
                             "(name, dtype, shape, method, [(model, tensor, parameters)], "
                             "parameters, base) of every output tensor.")
      .def_property_readonly("shards",
                             [](const HeldPlan& held) {
                               std::vector<std::string> names;
                               for (const auto& shard : held.plan.shards)
                                 names.push_back(shard.file);
                               return names;
                             })
      .def_property_readonly("config_text",
                             [](const HeldPlan& held) {
                               return held.plan.config.is_null() ? "" : held.plan.config.dump(2);
                             })
      .def_property_readonly(
          "unused",
          [](const HeldPlan& held) {
            std::vector<std::tuple<std::string, std::string, std::string>> out;
            for (const Unused& one : held.plan.unused)
              out.emplace_back(one.model, one.tensor, one.why);
            return out;
          },
          "(model, tensor, why) of input tensors that are in no output tensor.")
      .def_property_readonly("notes", [](const HeldPlan& held) { return held.plan.notes; })
      .def_property_readonly("donor", [](const HeldPlan& held) { return held.plan.donor->name(); })
      .def_property_readonly(
          "fingerprint", [](const HeldPlan& held) { return fingerprint(held.plan); },
          "A hexadecimal number of all that decides what is written: the plan and its input files.")
      .def_property_readonly("read_bytes", [](const HeldPlan& h) { return h.plan.read_bytes(); })
      .def_property_readonly("write_bytes", [](const HeldPlan& h) { return h.plan.write_bytes(); })
      .def(
          "memory",
          [](const HeldPlan& h, int threads, uint64_t limit) {
            return memory_of(h.plan, threads, limit).bytes;
          },
          py::arg("threads") = 0, py::arg("limit") = 0,
          "Private memory that running takes at most, in bytes; ValueError where `limit` is too "
          "little.")
      .def(
          "run", &run_into_folder, py::arg("output"), py::arg("files"),
          py::arg("progress") = py::none(), py::arg("threads") = 0, py::arg("resume") = false,
          py::arg("memory") = 0,
          "Write the folder; return (tensor, elements not finite, remark) where there is something "
          "to say.")
      .def("run_in_memory", &run_into_memory, py::arg("progress") = py::none(),
           py::arg("threads") = 0, "Return [(name, dtype, shape, bytes)] and what run() returns.");
  m.def("plan_merge", &make_plan, py::arg("document"), py::arg("where"), py::arg("inputs"),
        py::arg("mode") = "strict", py::arg("seed") = 0, py::arg("shard_bytes") = 5'000'000'000,
        py::arg("mix") = false, py::arg("vocabulary") = "", py::arg("solver") = py::none(),
        "Plan a merge: a document of the grammar as JSON, and (name, path | (path, adapter) | "
        "MergePlan | tensors | (tensors, config.json)) of every model it names. solver(tensor, "
        "inputs, out) computes what whole tensors make, all "
        "as bytes of float64.");
  m.def(
      "recipe_models",
      [](const std::string& document, const std::string& where) {
        return parse_recipe(Json::parse(document, where)).models();
      },
      py::arg("document"), py::arg("where"), "Check a document by itself; return its models.");
}

}  // namespace lenswright
