#include "model/tensors.h"

#include <ATen/ATen.h>

#include <array>
#include <cstring>
#include <utility>

namespace lenswright {
namespace {

constexpr std::array<std::pair<Dtype, at::ScalarType>, 15> kTypes{{
    {Dtype::f64, at::kDouble},
    {Dtype::f32, at::kFloat},
    {Dtype::bf16, at::kBFloat16},
    {Dtype::f16, at::kHalf},
    {Dtype::i64, at::kLong},
    {Dtype::i32, at::kInt},
    {Dtype::i16, at::kShort},
    {Dtype::i8, at::kChar},
    {Dtype::u8, at::kByte},
    {Dtype::boolean, at::kBool},
    {Dtype::f8_e4m3, at::kFloat8_e4m3fn},
    {Dtype::f8_e5m2, at::kFloat8_e5m2},
    {Dtype::f8_e8m0, at::kFloat8_e8m0fnu},
    {Dtype::u16, at::kUInt16},
    {Dtype::u32, at::kUInt32},
}};

}  // namespace

std::optional<at::ScalarType> scalar_type(Dtype dtype) {
  for (const auto& [stored, type] : kTypes) {
    if (stored == dtype) return type;
  }
  return std::nullopt;
}

Dtype stored_type(at::ScalarType type) {
  for (const auto& [stored, known] : kTypes) {
    if (known == type) return stored;
  }
  TORCH_CHECK_VALUE(false, "tensors of type ", type, " have no name in safetensors");
}

at::Tensor mapped_tensor(const Checkpoint& checkpoint, const TensorInfo& info) {
  const auto type = scalar_type(info.dtype);
  if (!type) {
    throw CheckpointError(Flaw::dtype, info.file,
                          "type " + std::string(wire_name(info.dtype)) + " is not known to torch",
                          info.name, info.begin);
  }
  const auto bytes = checkpoint.data(info);
  const auto options = at::TensorOptions().dtype(*type);
  if (reinterpret_cast<uintptr_t>(bytes.data()) % c10::elementSize(*type) != 0) {
    at::Tensor copy = at::empty(info.shape, options);
    std::memcpy(copy.data_ptr(), bytes.data(), bytes.size());
    return copy;
  }
  return at::from_blob(
      bytes.data(), info.shape, [map = checkpoint.map(info.file)](void*) {}, options);
}

}  // namespace lenswright
