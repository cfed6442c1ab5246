#include <ATen/ATen.h>

#include "edits/edit.h"
#include "edits/edit_json.h"
#include "io/checkpoint.h"
#include "io/file_writer.h"
#include "model/tensors.h"

namespace lenswright {
namespace {

// Version 1 stored factors once for each writer, version 2 stores what writers share once.
constexpr const char* kFormat = "lenswright edit 2";
constexpr const char* kFormerFormat = "lenswright edit 1";

class Reader {
 public:
  explicit Reader(const std::filesystem::path& path) : file_(Checkpoint::open(path)) {
    for (const auto& [key, value] : file_->header(shard()).metadata) {
      if (key == "format") known_ = value == kFormat || value == kFormerFormat;
      if (key == "edit") json_ = Json::parse(value, shard() + " (edit)");
    }
    if (!known_ || json_.is_null())
      refuse("is no edit: its metadata lack format '" + std::string(kFormat) + "'");
  }

  std::shared_ptr<Edit> read() {
    const auto edit =
        edit_of(json_, json_.at("provenance"),
                [&](const Json&, const std::string& writer) { return stored(writer); });
    if (read_ != file_->tensors().size())
      refuse("has tensors that belong to no writer of the edit");
    return edit;
  }

 private:
  std::string shard() const { return file_->shards().front(); }
  [[noreturn]] void refuse(const std::string& what) const {
    throw CheckpointError(Flaw::layout, shard(), what);
  }

  Factors stored(const std::string& writer) {
    Factors factors;
    for (const FactorSlot& slot : kFactorSlots) {
      const std::string name = writer + "." + slot.name;
      if (!file_->contains(name)) continue;
      ++read_;
      factors.*slot.tensor = mapped_tensor(*file_, file_->info(name)).clone();
    }
    return checked_alone(factors, writer);
  }

  std::shared_ptr<Checkpoint> file_;
  Json json_;
  bool known_ = false;
  size_t read_ = 0;
};

}  // namespace

void Edit::save(const std::filesystem::path& path) const {
  std::vector<TensorSpec> specs;
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  Json edit = Json::object();
  edit.set("provenance", provenance_);
  const Json what = edit_json(*this, [&](const Part& part, Json&) {
    for (const FactorSlot& slot : kFactorSlots) {
      const at::Tensor& tensor = part.factors.*slot.tensor;
      if (!tensor.defined()) continue;
      const std::string name = part.writer + "." + slot.name;
      specs.push_back({name, Dtype::f64, tensor.sizes().vec()});
      tensors.emplace_back(name, tensor);
    }
  });
  for (const auto& [key, value] : what.items()) edit.set(key, value);
  sort_as_reference(specs);
  FileWriter file(path, specs, {{"format", kFormat}, {"edit", edit.dump()}});
  for (const auto& [name, tensor] : tensors) {
    file.pwrite(name, 0, {static_cast<const std::byte*>(tensor.const_data_ptr()), tensor.nbytes()});
  }
  file.finish();
}

std::shared_ptr<Edit> Edit::load(const std::filesystem::path& path) { return Reader(path).read(); }

}  // namespace lenswright
