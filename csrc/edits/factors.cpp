#include "edits/factors.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>

namespace lenswright {
namespace {

constexpr double kOne = 1.0;

std::span<const double> span_of(const at::Tensor& tensor) {
  if (!tensor.defined()) return {};
  return {tensor.const_data_ptr<double>(), static_cast<size_t>(tensor.numel())};
}

at::Tensor normal_form(const at::Tensor& tensor, const FactorSlot& slot, const std::string& writer,
                       int64_t width, OnceEach& once) {
  if (!tensor.defined()) return {};
  TORCH_CHECK_TYPE(at::isFloatingType(tensor.scalar_type()), "factor ", slot.name, " of '", writer,
                   "' has type ", tensor.scalar_type(), ", expected floating-point numbers");
  const bool fits = (tensor.dim() == slot.dims || tensor.dim() == slot.dims + 1) &&
                    tensor.size(-1) == width && tensor.numel() > 0;
  TORCH_CHECK_VALUE(fits, "factor ", slot.name, " of '", writer, "' has shape ", tensor.sizes(),
                    ", expected ", slot.dims == 1 ? "[" : "[any, ", width,
                    "], or that with a leading axis of rows");
  return once(tensor, [&] {
    const at::Tensor form = tensor.detach().to(at::kCPU, at::kDouble).contiguous().clone();
    TORCH_CHECK_VALUE(at::isfinite(form).all().item<bool>(), "factor ", slot.name, " of '", writer,
                      "' has numbers that are not finite");
    return form;
  });
}

void check_pair(const Factors& f, const std::string& writer, at::Tensor Factors::*first,
                at::Tensor Factors::*second, const char* names) {
  const at::Tensor &x = f.*first, &y = f.*second;
  TORCH_CHECK_VALUE(x.defined() == y.defined(), "factors ", names, " of '", writer,
                    "': one is missing, expected both or neither");
  TORCH_CHECK_VALUE(!x.defined() || x.size(-2) == y.size(-2), "factors ", names, " of '", writer,
                    "' have ", x.size(-2), " and ", y.size(-2), " vectors, expected as many");
}

}  // namespace

at::Tensor OnceEach::operator()(const at::Tensor& from, const std::function<at::Tensor()>& make) {
  const void* const key = from.unsafeGetTensorImpl();
  const auto found = made_.find(key);
  if (found != made_.end()) return found->second.result;
  return made_.emplace(key, Made{from, make()}).first->second.result;
}

bool Factors::empty() const {
  return std::none_of(kFactorSlots.begin(), kFactorSlots.end(),
                      [&](const FactorSlot& slot) { return (this->*slot.tensor).defined(); });
}

int64_t Factors::rows() const {
  for (const FactorSlot& slot : kFactorSlots) {
    const at::Tensor& tensor = this->*slot.tensor;
    if (tensor.defined() && tensor.dim() > slot.dims) return tensor.size(0);
  }
  return 0;
}

Factors Factors::take(const at::Tensor& rows) const {
  OnceEach once;
  return take(rows, once);
}

Factors Factors::take(const at::Tensor& rows, OnceEach& once) const {
  Factors taken = *this;
  for (const FactorSlot& slot : kFactorSlots) {
    at::Tensor& tensor = taken.*slot.tensor;
    if (!tensor.defined() || tensor.dim() == slot.dims) continue;
    tensor = once(tensor, [&] { return tensor.index_select(0, rows); });
  }
  return taken;
}

Factors Factors::row(int64_t index) const {
  OnceEach once;
  return row(index, once);
}

Factors Factors::row(int64_t index, OnceEach& once) const {
  Factors taken = *this;
  for (const FactorSlot& slot : kFactorSlots) {
    at::Tensor& tensor = taken.*slot.tensor;
    if (!tensor.defined() || tensor.dim() == slot.dims) continue;
    tensor = once(tensor, [&] { return tensor.select(0, index).contiguous(); });
  }
  return taken;
}

std::array<const void*, 7> Factors::identity() const {
  std::array<const void*, 7> all{};
  for (size_t i = 0; i < all.size(); ++i) {
    all[i] = (this->*kFactorSlots[i].tensor).unsafeGetTensorImpl();
  }
  return all;
}

FactorSpans Factors::spans() const {
  return {span_of(s), span_of(u), span_of(v), span_of(c), span_of(a), span_of(b)};
}

FactorSpans Factors::bias_spans() const {
  const auto one = std::span(&kOne, 1);
  return {span_of(s), span_of(u),     span_of(v),
          {},         span_of(shift), shift.defined() ? one : span_of({})};
}

Factors Factors::checked(const std::string& writer, int64_t outputs, int64_t inputs) const {
  OnceEach once;
  return checked(writer, outputs, inputs, once);
}

Factors Factors::checked(const std::string& writer, int64_t outputs, int64_t inputs,
                         OnceEach& once) const {
  const c10::InferenceMode no_inference(false);
  Factors form;
  int64_t rows = 0;
  for (const FactorSlot& slot : kFactorSlots) {
    at::Tensor& tensor = form.*slot.tensor;
    tensor =
        normal_form(this->*slot.tensor, slot, writer, slot.along_inputs ? inputs : outputs, once);
    if (!tensor.defined() || tensor.dim() == slot.dims) continue;
    TORCH_CHECK_VALUE(rows == 0 || rows == tensor.size(0), "factor ", slot.name, " of '", writer,
                      "' has ", tensor.size(0), " rows, but another has ", rows);
    rows = tensor.size(0);
  }
  check_pair(form, writer, &Factors::u, &Factors::v, "U and V");
  check_pair(form, writer, &Factors::a, &Factors::b, "A and B");
  return form;
}

const Factors& CastFactors::as(at::ScalarType type, at::Device device) {
  const c10::InferenceMode no_inference(false);  // a later run may want gradients
  const std::lock_guard lock(mutex_);
  for (const Entry& entry : casts_) {
    if (entry.type == type && entry.device == device) return entry.factors;
  }
  Factors cast;
  for (const FactorSlot& slot : kFactorSlots) {
    const at::Tensor& tensor = factors_.*slot.tensor;
    if (tensor.defined()) cast.*slot.tensor = tensor.to(device, type);
  }
  return casts_.emplace_back(Entry{type, device, std::move(cast)}).factors;
}

}  // namespace lenswright
