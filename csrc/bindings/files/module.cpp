#include "bindings/files/bindings.h"

PYBIND11_MODULE(_files, m) {
  m.doc() = "Lenswright's files: checkpoints read, written and compared, without torch.";
  lenswright::bind_errors(m);
  lenswright::bind_format(m);
  lenswright::bind_glob(m);
  lenswright::bind_checkpoint(m);
  lenswright::bind_writer(m);
  lenswright::bind_compare(m);
  lenswright::bind_families(m);
  lenswright::bind_merge(m);
  lenswright::bind_task_statistics(m);
  lenswright::bind_merge_methods(m);
  lenswright::bind_assembly(m);
  lenswright::bind_random(m);
}
