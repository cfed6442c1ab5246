#include "model/quantised_view.h"

#include <ATen/ATen.h>

namespace lenswright {

at::Tensor factors_of(const at::Tensor& scales) {
  const bool bytes = scales.scalar_type() == at::kByte;
  return (bytes ? scales.view(at::kFloat8_e8m0fnu) : scales).to(at::kFloat).contiguous();
}

std::shared_ptr<const Quantised> quantised_view(const Source& source, const QuantisedTensor& tensor,
                                                at::Device device) {
  auto view = std::make_shared<Quantised>();
  view->form = tensor.form;
  view->name = tensor.scales;
  view->codes = source.tensor(tensor.codes).to(device).contiguous();
  view->scales = source.tensor(tensor.scales).to(device).contiguous();
  view->grid = tensor.grid;
  view->experts = tensor.shape.size() > 2;
  view->turned = tensor.turned;
  if (tensor.form != Quantisation::fp8) return view;
  view->factors = factors_of(view->scales);
  if (view->experts)
    view->factors = view->factors.view({tensor.matrices(), -1, tensor.grid.columns});
  if (!view->factors.isfinite().all().item<bool>()) {
    source.refuse(tensor.scales, "has scales that are no finite numbers");
  }
  return view;
}

}  // namespace lenswright
