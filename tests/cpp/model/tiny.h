#pragma once

#include <set>

#include "io/files.h"
#include "io/writer.h"
#include "model/model.h"
#include "model/tensors.h"
#include "spec/configs.h"
#include "tensors.h"

namespace lenswright::test {

/// A checkpoint folder of made-up weights for a config, written as the product writes them.
inline std::filesystem::path write_checkpoint(const std::filesystem::path& folder,
                                              const Json& config,
                                              at::ScalarType type = at::kDouble) {
  const Family& family = family_of(config);
  const Spec spec = spec_of(family, config);
  // Norms have no biases they could do without: where they are written, such a bias would be a
  // writer.
  const auto rows =
      rows_in(family, spec, [](const std::string& name) { return !name.ends_with("norm.bias"); });
  std::vector<TensorSpec> tensors;
  std::set<std::string> seen;
  for (const Row& row : rows) {
    if (seen.insert(row.source).second) {
      tensors.push_back({row.source, stored_type(type), row.stored_shape()});
    }
  }
  FolderWriter writer(folder);
  FileWriter& file = writer.shard("model.safetensors", tensors, {{"format", "pt"}});
  double speed = 0.61;
  for (const TensorSpec& tensor : tensors) {
    at::Tensor value = waves(tensor.shape, speed += 0.037);
    const bool norm = tensor.name.find("norm.weight") != std::string::npos ||
                      tensor.name.find("layernorm.weight") != std::string::npos ||
                      tensor.name.find("ln_") != std::string::npos;
    if (norm && tensor.name.ends_with("weight")) value = 1 + 0.3 * value;
    if (tensor.shape.size() == 2) value = value * 0.4;
    value = value.to(type).contiguous();
    file.pwrite(tensor.name, 0,
                {reinterpret_cast<const std::byte*>(value.const_data_ptr()), value.nbytes()});
  }
  writer.write_text("config.json", config.dump(2));
  writer.commit();
  return folder;
}

/// A tiny model in a folder of its own.
class Tiny {
 public:
  explicit Tiny(const Json& config, at::ScalarType stored = at::kDouble,
                const std::string& dtype = "auto") {
    write_checkpoint(folder_ / "model", config, stored);
    LoadOptions options;
    options.dtype = dtype;
    model_ = Model::load(Checkpoint::open(folder_ / "model"), options);
  }
  const Model& operator*() const { return *model_; }
  Model* operator->() const { return model_.get(); }
  std::filesystem::path path() const { return folder_ / "model"; }

 private:
  TempFolder folder_;
  std::shared_ptr<Model> model_;
};

/// Ids below 97 that look random.
inline at::Tensor ids(int64_t batch, int64_t pos, int64_t seed = 0) {
  const at::Tensor index = at::arange(batch * pos, at::kLong) + seed;
  return (index * 37 + index * index * 11).remainder(97).view({batch, pos});
}

inline Batch whole(const at::Tensor& tokens) { return Batch(tokens, {}, Side::right); }

inline at::Tensor logits(const Model& model, const Batch& batch, const Taps& taps = {},
                         Logits wanted = Logits::all) {
  return model.run({batch, {}, nullptr, {}}, taps, {wanted, 0, std::nullopt}).logits;
}

/// What `action` throws, as text; a failure of the test where it throws no `Error`.
template <typename Error, typename Action>
std::string thrown(Action action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  FAIL("nothing was thrown");
  return "";
}

}  // namespace lenswright::test
