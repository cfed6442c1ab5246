#include <ATen/ATen.h>

#include "base/error.h"
#include "edits/edit.h"
#include "io/checkpoint.h"
#include "io/file_writer.h"
#include "model/tensors.h"

namespace lenswright {
namespace {

constexpr const char* kFormat = "lenswright edit 1";
constexpr std::array kKinds = {WriterKind::token_embedding, WriterKind::positional_embedding,
                               WriterKind::attention, WriterKind::mlp};

Json json_of(const Base& base) {
  Json json = Json::object();
  json.set("name", base.name);
  json.set("sha256", base.sha256);
  return json;
}

Base base_of(const Json& json) {
  return {json.at("name").as_string(), json.at("sha256").as_string()};
}

Json json_of(const Part& part) {
  Json json = Json::object();
  json.set("writer", part.writer);
  json.set("kind", name_of(part.kind));
  json.set("layer", part.output.layer);
  json.set("weight", json_of(part.weight));
  json.set("bias", json_of(part.bias));
  json.set("unties", part.unties);
  return json;
}

Json json_of(const Untouched& untouched) {
  Json json = Json::object();
  json.set("writer", untouched.writer);
  json.set("kind", name_of(untouched.kind));
  json.set("reason", untouched.reason);
  return json;
}

WriterKind kind_of(const Json& name) {
  std::vector<std::string> known;
  for (WriterKind kind : kKinds) {
    if (name_of(kind) == name.as_string()) return kind;
    known.emplace_back(name_of(kind));
  }
  TORCH_CHECK_VALUE(false, name.where(), ": writer kind is '", name.as_string(), "'",
                    did_you_mean(name.as_string(), known));
}

Site site_of(WriterKind kind) {
  switch (kind) {
    case WriterKind::token_embedding:
      return Site::embed;
    case WriterKind::positional_embedding:
      return Site::pos_embed;
    case WriterKind::attention:
      return Site::attn_raw_out;
    case WriterKind::mlp:
      return Site::mlp_raw_out;
  }
  TORCH_INTERNAL_ASSERT(false, "unnamed writer kind");
}

class Reader {
 public:
  explicit Reader(const std::filesystem::path& path) : file_(Checkpoint::open(path)) {
    for (const auto& [key, value] : file_->header(shard()).metadata) {
      if (key == "format" && value == kFormat) known_ = true;
      if (key == "edit") json_ = Json::parse(value, shard() + " (edit)");
    }
    if (!known_ || json_.is_null())
      refuse("is no edit: its metadata lack format '" + std::string(kFormat) + "'");
  }

  std::shared_ptr<Edit> read() {
    std::vector<Part> parts;
    for (const Json& json : json_.at("parts").elements()) parts.push_back(part(json));
    std::vector<Untouched> untouched;
    for (const Json& json : json_.at("untouched").elements()) {
      untouched.push_back(
          {json.at("writer").as_string(), kind_of(json.at("kind")), json.at("reason").as_string()});
    }
    if (read_ != file_->tensors().size())
      refuse("has tensors that belong to no writer of the edit");
    return std::make_shared<Edit>(std::move(parts), std::move(untouched), json_.at("provenance"));
  }

 private:
  std::string shard() const { return file_->shards().front(); }
  [[noreturn]] void refuse(const std::string& what) const {
    throw CheckpointError(Flaw::layout, shard(), what);
  }

  Part part(const Json& json) {
    Part part;
    part.writer = json.at("writer").as_string();
    part.kind = kind_of(json.at("kind"));
    part.output = {site_of(part.kind), static_cast<int>(json.at("layer").as_int())};
    part.weight = base_of(json.at("weight"));
    part.bias = base_of(json.at("bias"));
    part.unties = json.at("unties").as_bool();
    Factors factors;
    for (const FactorSlot& slot : kFactorSlots) {
      const std::string name = part.writer + "." + slot.name;
      if (!file_->contains(name)) continue;
      ++read_;
      factors.*slot.tensor = mapped_tensor(*file_, file_->info(name)).clone();
    }
    const auto width = [](const at::Tensor& x, const at::Tensor& y, const at::Tensor& z) {
      return x.defined() ? x.size(-1) : y.defined() ? y.size(-1) : z.defined() ? z.size(-1) : 0;
    };
    const Factors& f = factors;
    const at::Tensor& left = f.s.defined() ? f.s : f.shift;
    part.factors = factors.checked(part.writer, width(f.u, f.a, left), width(f.c, f.b, {}));
    return part;
  }

  std::shared_ptr<Checkpoint> file_;
  Json json_;
  bool known_ = false;
  size_t read_ = 0;
};

}  // namespace

void Edit::save(const std::filesystem::path& path) const {
  Json parts = Json::array(), untouched = Json::array();
  std::vector<TensorSpec> specs;
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  for (const Part& part : parts_) {
    parts.push_back(json_of(part));
    for (const FactorSlot& slot : kFactorSlots) {
      const at::Tensor& tensor = part.factors.*slot.tensor;
      if (!tensor.defined()) continue;
      const std::string name = part.writer + "." + slot.name;
      specs.push_back({name, Dtype::f64, tensor.sizes().vec()});
      tensors.emplace_back(name, tensor);
    }
  }
  for (const Untouched& writer : untouched_) untouched.push_back(json_of(writer));
  Json edit = Json::object();
  edit.set("provenance", provenance_);
  edit.set("parts", parts);
  edit.set("untouched", untouched);
  sort_as_reference(specs);
  FileWriter file(path, specs, {{"format", kFormat}, {"edit", edit.dump()}});
  for (const auto& [name, tensor] : tensors) {
    file.pwrite(name, 0, {static_cast<const std::byte*>(tensor.const_data_ptr()), tensor.nbytes()});
  }
  file.finish();
}

std::shared_ptr<Edit> Edit::load(const std::filesystem::path& path) { return Reader(path).read(); }

}  // namespace lenswright
