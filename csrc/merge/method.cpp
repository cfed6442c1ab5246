#include "merge/method.h"

#include <stdexcept>

#include "base/error.h"
#include "merge/methods/list.h"

namespace lenswright {

const Parameter* Method::find(std::string_view parameter) const {
  for (const Parameter& one : parameters) {
    if (one.name == parameter) return &one;
  }
  return nullptr;
}

const std::vector<Method>& merge_methods() {
  static const std::vector<Method> methods = {
      linear_method(),
      slerp_method(),
      nuslerp_method(),
      multislerp_method(),
      karcher_method(),
      task_arithmetic_method(),
      ties_method(),
      dare_linear_method(),
      dare_ties_method(),
      breadcrumbs_method(),
      breadcrumbs_ties_method(),
      della_method(),
      della_linear_method(),
      sce_method(),
      model_stock_method(),
      ram_method(),
      ramplus_tl_method(),
      nearswap_method(),
      arcee_fusion_method(),
      passthrough_method(),
      ema_method(),
      fisher_method(),
      regmean_method(),
      tsv_method(),
      iso_c_method(),
      interpolate_method(),
      wudi_method(),
  };
  return methods;
}

const Method& merge_method(std::string_view name) {
  std::vector<std::string> names;
  for (const Method& method : merge_methods()) {
    if (method.name == name) return method;
    names.push_back(method.name);
  }
  std::string known;
  for (const std::string& one : names) known += (known.empty() ? "" : ", ") + one;
  throw std::invalid_argument("merge_method is " + in_quotes(name) + did_you_mean(name, names) +
                              (did_you_mean(name, names).empty() ? "; " : " ") +
                              "the methods are " + known);
}

}  // namespace lenswright
