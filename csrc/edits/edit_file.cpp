#include <ATen/ATen.h>

#include <map>

#include "base/error.h"
#include "edits/edit.h"
#include "io/checkpoint.h"
#include "io/file_writer.h"
#include "model/tensors.h"

namespace lenswright {
namespace {

// Version 1 stored factors once for each writer, version 2 stores what writers share once.
constexpr const char* kFormat = "lenswright edit 2";
constexpr const char* kFormerFormat = "lenswright edit 1";

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
  json.set("kind", name_of(part.key.kind));
  json.set("layer", part.key.layer);
  if (part.key.expert >= 0) json.set("expert", part.key.expert);
  json.set("weight", json_of(part.weight));
  json.set("bias", json_of(part.bias));
  json.set("unties", part.unties);
  if (!part.note.empty()) json.set("note", part.note);
  if (part.place.known()) {
    Json place = Json::object();
    place.set("residual_axis", part.place.residual_axis);
    place.set("slice", part.place.slice);
    place.set("outputs", part.place.outputs);
    place.set("inputs", part.place.inputs);
    json.set("place", place);
  }
  return json;
}

NamedPlace place_of(const Json& json) {
  return {static_cast<int>(json.at("residual_axis").as_int()), json.at("slice").as_int(),
          json.at("outputs").as_int(), json.at("inputs").as_int()};
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
  for (int i = 0; i < kWriterKinds; ++i) {
    const auto kind = static_cast<WriterKind>(i);
    if (name_of(kind) == name.as_string()) return kind;
    known.emplace_back(name_of(kind));
  }
  TORCH_CHECK_VALUE(false, name.where(), ": writer kind is '", name.as_string(), "'",
                    did_you_mean(name.as_string(), known));
}

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
    part.key = {kind_of(json.at("kind")), static_cast<int>(json.at("layer").as_int())};
    if (json.contains("expert")) part.key.expert = json.at("expert").as_int();
    part.weight = base_of(json.at("weight"));
    part.bias = base_of(json.at("bias"));
    part.unties = json.at("unties").as_bool();
    if (json.contains("note")) part.note = json.at("note").as_string();
    if (json.contains("place")) part.place = place_of(json.at("place"));
    part.factors = json.contains("same_as") ? earlier(json.at("same_as")) : stored(part.writer);
    factors_[part.writer] = part.factors;
    return part;
  }

  Factors earlier(const Json& name) const {
    const auto found = factors_.find(name.as_string());
    if (found == factors_.end()) refuse(name.where() + " names no writer before it");
    return found->second;
  }

  Factors stored(const std::string& writer) {
    Factors factors;
    for (const FactorSlot& slot : kFactorSlots) {
      const std::string name = writer + "." + slot.name;
      if (!file_->contains(name)) continue;
      ++read_;
      factors.*slot.tensor = mapped_tensor(*file_, file_->info(name)).clone();
    }
    const auto width = [](const at::Tensor& x, const at::Tensor& y, const at::Tensor& z) {
      return x.defined() ? x.size(-1) : y.defined() ? y.size(-1) : z.defined() ? z.size(-1) : 0;
    };
    const Factors& f = factors;
    const at::Tensor& left = f.s.defined() ? f.s : f.shift;
    return factors.checked(writer, width(f.u, f.a, left), width(f.c, f.b, {}));
  }

  std::shared_ptr<Checkpoint> file_;
  Json json_;
  bool known_ = false;
  size_t read_ = 0;
  std::map<std::string, Factors> factors_;  // by writer
};

}  // namespace

void Edit::save(const std::filesystem::path& path) const {
  Json parts = Json::array(), untouched = Json::array();
  std::vector<TensorSpec> specs;
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  std::map<std::array<const void*, 7>, std::string> seen;
  for (const Part& part : parts_) {
    const auto [first, fresh] = seen.emplace(part.factors.identity(), part.writer);
    Json json = json_of(part);
    if (!fresh) json.set("same_as", first->second);
    parts.push_back(json);
    if (!fresh) continue;
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
