#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "io/checkpoint.h"
#include "spec/decoder.h"

namespace lenswright {

/// Where a model's tensors come from: the mapped files of a checkpoint, or somebody's own tensors.
class Source {
 public:
  virtual ~Source();
  virtual Decoder decoder() const = 0;
  virtual std::vector<std::string> names() const = 0;
  virtual bool contains(const std::string& name) const = 0;
  /// A view of what is there, never a copy.
  virtual at::Tensor tensor(const std::string& name) const = 0;
  /// Throws what is wrong with a tensor, there or missing.
  [[noreturn]] virtual void refuse(const std::string& name, const std::string& what) const = 0;
};

std::unique_ptr<Source> checkpoint_source(std::shared_ptr<Checkpoint> checkpoint);

/// config: as in config.json; tensors by the names checkpoints have, or a live model has.
std::unique_ptr<Source> live_source(Json config, std::map<std::string, at::Tensor> tensors);

}  // namespace lenswright
