#include "edits/edit_json.h"

#include <ATen/ATen.h>

#include <cstring>
#include <map>
#include <stdexcept>

#include "base/base64.h"
#include "base/error.h"

namespace lenswright {
namespace {

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

Part part_of(const Json& json) {
  Part part;
  part.writer = json.at("writer").as_string();
  part.key = {kind_of(json.at("kind")), static_cast<int>(json.at("layer").as_int())};
  if (json.contains("expert")) part.key.expert = json.at("expert").as_int();
  part.weight = base_of(json.at("weight"));
  part.bias = base_of(json.at("bias"));
  part.unties = json.at("unties").as_bool();
  if (json.contains("note")) part.note = json.at("note").as_string();
  if (json.contains("place")) part.place = place_of(json.at("place"));
  return part;
}

// --- factors in base64 ---
Json json_of(const at::Tensor& tensor) {
  Json json = Json::object(), shape = Json::array();
  for (const int64_t dim : tensor.sizes()) shape.push_back(dim);
  json.set("shape", shape);
  json.set("f64",
           to_base64({static_cast<const std::byte*>(tensor.const_data_ptr()), tensor.nbytes()}));
  return json;
}

at::Tensor tensor_of(const Json& json) {
  const std::vector<std::byte> bytes = from_base64(json.at("f64").as_string());
  std::vector<int64_t> shape;
  int64_t left = static_cast<int64_t>(bytes.size() / sizeof(double));
  for (const Json& dim : json.at("shape").elements()) {
    shape.push_back(dim.as_int());
    TORCH_CHECK_VALUE(shape.back() > 0 && left % shape.back() == 0, json.where(),
                      ": its shape does not fit its numbers");
    left /= shape.back();
  }
  TORCH_CHECK_VALUE(left == 1 && bytes.size() % sizeof(double) == 0, json.where(),
                    ": its shape does not fit its numbers");
  at::Tensor tensor = at::empty(shape, at::kDouble);
  std::memcpy(tensor.mutable_data_ptr(), bytes.data(), bytes.size());
  return tensor;
}

}  // namespace

Factors checked_alone(const Factors& f, const std::string& writer) {
  const auto width = [](const at::Tensor& x, const at::Tensor& y, const at::Tensor& z) {
    return x.defined() ? x.size(-1) : y.defined() ? y.size(-1) : z.defined() ? z.size(-1) : 0;
  };
  const at::Tensor& left = f.s.defined() ? f.s : f.shift;
  return f.checked(writer, width(f.u, f.a, left), width(f.c, f.b, {}));
}

Json edit_json(const Edit& edit, const std::function<void(const Part&, Json&)>& keep) {
  Json parts = Json::array(), untouched = Json::array();
  std::map<std::array<const void*, 7>, std::string> seen;
  for (const Part& part : edit.parts()) {
    const auto [first, fresh] = seen.emplace(part.factors.identity(), part.writer);
    Json json = json_of(part);
    if (fresh) {
      keep(part, json);
    } else {
      json.set("same_as", first->second);
    }
    parts.push_back(json);
  }
  for (const Untouched& writer : edit.untouched()) untouched.push_back(json_of(writer));
  Json all = Json::object();
  all.set("parts", parts);
  all.set("untouched", untouched);
  return all;
}

std::shared_ptr<Edit> edit_of(const Json& json, Json provenance,
                              const std::function<Factors(const Json&, const std::string&)>& find) {
  std::map<std::string, Factors> factors;  // by writer
  const auto earlier = [&](const Json& name) {
    const auto found = factors.find(name.as_string());
    TORCH_CHECK_VALUE(found != factors.end(), name.where(), " names no writer before it");
    return found->second;
  };
  std::vector<Part> parts;
  for (const Json& one : json.at("parts").elements()) {
    Part part = part_of(one);
    part.factors = one.contains("same_as") ? earlier(one.at("same_as")) : find(one, part.writer);
    factors[part.writer] = part.factors;
    parts.push_back(std::move(part));
  }
  std::vector<Untouched> untouched;
  for (const Json& one : json.at("untouched").elements()) {
    untouched.push_back(
        {one.at("writer").as_string(), kind_of(one.at("kind")), one.at("reason").as_string()});
  }
  return std::make_shared<Edit>(std::move(parts), std::move(untouched), std::move(provenance));
}

Json whole_edit_json(const Edit& edit) {
  return edit_json(edit, [](const Part& part, Json& json) {
    Json factors = Json::object();
    for (const FactorSlot& slot : kFactorSlots) {
      const at::Tensor& tensor = part.factors.*slot.tensor;
      if (tensor.defined()) factors.set(slot.name, json_of(tensor));
    }
    json.set("factors", factors);
  });
}

std::shared_ptr<Edit> whole_edit_of(const Json& json, Json provenance) {
  return edit_of(json, std::move(provenance), [](const Json& one, const std::string& writer) {
    Factors factors;
    const Json stored = one.at("factors");
    for (const FactorSlot& slot : kFactorSlots) {
      if (stored.contains(slot.name)) factors.*slot.tensor = tensor_of(stored.at(slot.name));
    }
    return checked_alone(factors, writer);
  });
}

}  // namespace lenswright
