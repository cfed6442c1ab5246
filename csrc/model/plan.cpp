#include "model/plan.h"

#include <ATen/ATen.h>

namespace lenswright {
namespace {

int checked_layer(int layer, const char* name, int n_layers) {
  const int positive = layer < 0 ? layer + n_layers : layer;
  TORCH_CHECK_INDEX(positive >= 0 && positive <= n_layers, name, " is ", layer, ", expected ",
                    -n_layers, " to ", n_layers, " for a model of ", n_layers, " layers");
  return positive;
}

bool after_blocks(Site site) { return depth(site) >= depth(Site::ln_final_scale); }

void check_inside(Point point, const Plan& plan, int stop, bool stopped) {
  const bool early = plan.first > 0 && (point.layer < plan.first && !after_blocks(point.site));
  TORCH_CHECK_VALUE(!early, "hook '", name_of(point), "' lies before start_at_layer ", plan.first,
                    " and would never fire");
  const bool late = stopped && (after_blocks(point.site) || point.layer >= stop);
  TORCH_CHECK_VALUE(!late, "hook '", name_of(point), "' lies behind stop_at_layer ", stop,
                    " and would never fire");
}

Until needed(Site site) {
  if (site == Site::resid_pre) return Until::resid_pre;
  return depth(site) <= depth(Site::attn_out) ? Until::attn_out : Until::resid_post;
}

// Runs at least to this point.
void reach(Plan& plan, Point point) {
  if (point.layer < 0 || point.layer < plan.whole) return;
  const Until until = needed(point.site);
  if (until == Until::resid_post) {
    plan.whole = point.layer + 1;
    plan.partial = false;
  } else if (point.layer > plan.whole || !plan.partial || plan.last < until) {
    plan.last = until;
    plan.whole = point.layer;
    plan.partial = true;
  }
}

}  // namespace

Plan make_plan(const Spec& spec, const Taps& taps, const Wanted& wanted) {
  const int n_layers = static_cast<int>(spec.n_layers);
  Plan plan;
  plan.first = checked_layer(wanted.start_at_layer, "start_at_layer", n_layers);
  plan.whole = plan.first;
  const bool stopped = wanted.stop_at_layer.has_value();
  const int stop =
      stopped ? checked_layer(*wanted.stop_at_layer, "stop_at_layer", n_layers) : n_layers;
  TORCH_CHECK_VALUE(plan.first <= stop, "start_at_layer ", plan.first,
                    " lies behind stop_at_layer ", stop);
  plan.logits = stopped ? Logits::none : wanted.logits;
  bool behind = plan.logits != Logits::none;
  for (Point point : taps.points()) {
    check_inside(point, plan, stop, stopped);
    behind = behind || after_blocks(point.site);
    if (point.site == Site::unembed_out && plan.logits == Logits::none) plan.logits = Logits::all;
    reach(plan, point);
  }
  plan.final_norm = behind;
  if (behind || stopped) {
    plan.whole = stop;
    plan.partial = false;
  }
  return plan;
}

}  // namespace lenswright
