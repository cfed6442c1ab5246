#include "model/taps.h"

#include <ATen/ATen.h>

namespace lenswright {

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

void Taps::adapt(Point output_of_writer, Adapter adapter) {
  for (const auto& [point, other] : adapters_) {
    TORCH_CHECK_VALUE(point != output_of_writer, "writer at '", name_of(point),
                      "' is already edited in this run; expected one edit a writer (compose them)");
  }
  adapters_.emplace_back(output_of_writer, std::move(adapter));
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

const Adapter* Taps::adapter(Point output_of_writer) const {
  for (const auto& [point, adapter] : adapters_) {
    if (point == output_of_writer) return &adapter;
  }
  return nullptr;
}

std::vector<Point> Taps::points() const {
  std::vector<Point> list;
  for (const Action& action : actions_) list.push_back(action.point);
  return list;
}

}  // namespace lenswright
