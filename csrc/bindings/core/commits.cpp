#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>
#include <torch/csrc/utils/pybind.h>

#include "bindings/core/bindings.h"
#include "bindings/files/progress.h"
#include "edits/commit.h"
#include "edits/commit_estimate.h"
#include "edits/recheck.h"
#include "edits/revert.h"

namespace py = pybind11;

namespace lenswright {
namespace {

namespace fs = std::filesystem;

py::dict commit_edit(const Edit& edit, const fs::path& input, const fs::path& output,
                     py::object callback, bool journal, bool in_place, const std::string& card,
                     const std::string& measured) {
  Committed done;
  {
    Progress progress(python_report(std::move(callback)));
    py::gil_scoped_release release;
    done = commit(edit, input, output, &progress, {journal, in_place, card, measured});
  }
  py::dict changed;
  for (const auto& [name, change] : done.changed) {
    changed[py::str(name)] = py::make_tuple(change.before, change.after);
  }
  py::dict result;
  result["changed"] = changed;
  result["added"] = done.added.empty() ? py::object(py::none()) : py::str(done.added);
  result["left_behind"] = done.left_behind;
  result["dequantised"] = done.dequantised == 0
                              ? py::object(py::none())
                              : py::make_tuple(name_of(done.form), done.dequantised);
  result["journal"] = done.journal.empty() ? py::object(py::none())
                                           : py::make_tuple(done.journal, done.journal_bytes);
  return result;
}

py::dict estimate(const Edit& edit, const fs::path& input, const fs::path& output, bool journal,
                  bool in_place) {
  CommitEstimate found;
  {
    py::gil_scoped_release release;
    found = estimate_commit(edit, input, output, {journal, in_place});
  }
  py::dict result;
  result["writers"] = found.writers;
  result["tensors"] = found.tensors;
  result["edited_bytes"] = found.edited_bytes;
  result["read_bytes"] = found.read_bytes;
  result["written_bytes"] = found.written_bytes;
  result["free_bytes"] = found.free_bytes;
  result["memory_bytes"] = found.memory_bytes;
  result["seconds"] = found.seconds;
  result["unties"] = found.unties;
  result["dequantised"] = found.dequantised;
  return result;
}

py::dict revert_folder(const fs::path& folder, const std::optional<fs::path>& output,
                       py::object callback) {
  Reverted done;
  {
    Progress progress(python_report(std::move(callback)));
    py::gil_scoped_release release;
    done = revert(folder, output, &progress);
  }
  py::dict result;
  result["restored"] = done.restored;
  result["carried"] = done.carried;
  result["steps_left"] = done.steps_left;
  return result;
}

py::dict recheck_folder(const fs::path& folder, const std::optional<fs::path>& base,
                        py::object callback) {
  Recheck found;
  {
    Progress progress(python_report(std::move(callback)));
    py::gil_scoped_release release;
    found = recheck(folder, base, &progress);
  }
  py::dict result;
  result["wrong"] = found.wrong;
  result["edited"] = found.edited;
  result["derived"] = found.derived;
  result["untouched"] = found.untouched;
  result["steps"] = found.steps;
  return result;
}

}  // namespace

void bind_commits(py::module_& m) {
  m.def("commit_edit", &commit_edit, py::arg("edit"), py::arg("input"), py::arg("output"),
        py::arg("progress"), py::arg("journal"), py::arg("in_place"), py::arg("card"),
        py::arg("measured"), "Writes a checkpoint folder with an edit in its weights.");
  m.def("estimate_commit", &estimate, py::arg("edit"), py::arg("input"), py::arg("output"),
        py::arg("journal"), py::arg("in_place"),
        "Checks what committing checks, and says what it would take.");
  m.def(
      "check_in_place", [](const fs::path& folder) { check_in_place(*Checkpoint::open(folder)); },
      py::arg("folder"), "Refuses a folder with files that are not its checkpoint's own.");
  m.def("revert_commit", &revert_folder, py::arg("folder"), py::arg("output"), py::arg("progress"),
        "Writes what the last commit to a folder was made of, from its journal.");
  m.def("recheck", &recheck_folder, py::arg("folder"), py::arg("base"), py::arg("progress"),
        "Compares a committed folder with its record, and with what that makes of its base.");
}

}  // namespace lenswright
