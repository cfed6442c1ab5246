#include "model/taps.h"

#include <ATen/ATen.h>

namespace lenswright {

at::Tensor Adapter::around(const at::Tensor& input,
                           const std::function<at::Tensor(const at::Tensor&)>& product) const {
  at::Tensor written = product(before ? before(input) : input);
  if (after) written = after(input, std::move(written));
  return shift ? shift(std::move(written)) : written;
}

Unchanged::Unchanged(const at::Tensor& tensor)
    : tensor_(tensor), version_(tensor.is_inference() ? 0 : tensor._version()) {}

bool Unchanged::operator()(const at::Tensor& after) const {
  if (!after.is_same(tensor_) || tensor_.requires_grad() || tensor_.is_inference()) return false;
  return tensor_._version() == version_;
}

void Taps::raise(Point point, uint8_t bit) {
  const size_t index = slot(point);
  if (index >= flags_.size()) flags_.resize(index + 1, 0);
  flags_[index] |= bit;
}

void Taps::read(Point point, Reader reader) {
  raise(point, kReads);
  actions_.push_back({point, std::move(reader), nullptr});
}

void Taps::write(Point point, Writer writer) {
  raise(point, kWrites);
  actions_.push_back({point, nullptr, std::move(writer)});
}

void Taps::adapt(const WriterKey& writer, Adapter adapter) {
  const bool fresh = adapters_.emplace(writer, std::move(adapter)).second;
  TORCH_CHECK_VALUE(fresh, "writer '", name_of(writer),
                    "' is already edited in this run; expected one edit a writer (compose them)");
}

at::Tensor Taps::visit(Point point, at::Tensor tensor) const {
  if (!wants(point)) return tensor;
  for (const Action& action : actions_) {
    if (action.point != point) continue;
    if (action.reader) {
      action.reader(tensor);
    } else {
      tensor = action.writer(std::move(tensor));
    }
  }
  return tensor;
}

const Adapter* Taps::adapter(const WriterKey& writer) const {
  if (adapters_.empty()) return nullptr;
  const auto found = adapters_.find(writer);
  return found == adapters_.end() ? nullptr : &found->second;
}

std::vector<Point> Taps::points() const {
  std::vector<Point> list;
  for (const Action& action : actions_) list.push_back(action.point);
  return list;
}

}  // namespace lenswright
