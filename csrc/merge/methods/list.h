#pragma once

#include "merge/method.h"

namespace lenswright {

// One file each, of that name.
Method linear_method();
Method slerp_method();
Method nuslerp_method();
Method multislerp_method();
Method karcher_method();
Method task_arithmetic_method();
Method ties_method();
Method dare_linear_method();
Method dare_ties_method();
Method breadcrumbs_method();
Method breadcrumbs_ties_method();
Method della_method();
Method della_linear_method();
Method sce_method();
Method model_stock_method();
Method ram_method();
Method ramplus_tl_method();
Method nearswap_method();
Method arcee_fusion_method();
Method passthrough_method();
Method ema_method();
Method fisher_method();
Method regmean_method();
Method tsv_method();
Method interpolate_method();
Method iso_c_method();
Method wudi_method();

}  // namespace lenswright
