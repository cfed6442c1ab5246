#include <torch/csrc/utils/pybind.h>

#include "bindings/core/bindings.h"

PYBIND11_MODULE(_core, m) {
  m.doc() = "Lenswright's tensors: models, taps, statistics, directions, edits.";
  pybind11::module_::import("lenswright._files");  // its types are used in signatures here
  lenswright::bind_errors(m);
  lenswright::bind_deterministic(m);
  lenswright::bind_taps(m);
  lenswright::bind_model(m);
  lenswright::bind_rereading(m);
  lenswright::bind_sampling(m);
  lenswright::bind_generate(m);
  lenswright::bind_statistics(m);
  lenswright::bind_directions(m);
  lenswright::bind_edits(m);
  lenswright::bind_commits(m);
  lenswright::bind_edit_methods(m);
  lenswright::bind_edit_algebra(m);
}
