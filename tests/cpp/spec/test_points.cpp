#include "spec/points.h"

#include <set>

#include "spec/kinds.h"

namespace lenswright::test_points {
namespace {

using namespace test;  // NOLINT: tests only
using Shape = std::vector<std::string>;

Spec llama() { return read(llama_config()); }
Spec gpt2() { return read(gpt2_config()); }

// What no family has all at once: every norm, both kinds of layer, compressed heads, sinks.
Spec rich() {
  Spec spec = llama();
  spec.norms = NormPlacement::around;
  spec.embed_norm = true;
  spec.qk_norm = QkNorm::head;
  spec.sinks = true;
  spec.d_value = 7;
  spec.d_embed = 12;
  spec.latent = {9, 11, {}};
  spec.mixture.routing.experts = 6;
  spec.mixture.routing.chosen = 2;
  spec.mixture.d_mlp = 13;
  spec.mixture.d_shared = 5;
  spec.layers[1].mixture = true;
  return spec;
}

bool has(const Spec& spec, Point wanted, bool expanded = true) {
  for (Point point : points(spec, expanded)) {
    if (point == wanted) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("every point has a name that means it, in the order of a run") {
  std::vector<Spec> specs = {llama(), gpt2(), rich()};
  for (const Json& config : kinds()) specs.push_back(read(config));
  for (const Spec& spec : specs) {
    std::set<std::string> names;
    const auto every = points(spec, true);
    for (size_t i = 0; i < every.size(); ++i) {
      const std::string name = name_of(every[i]);
      CAPTURE(name);
      REQUIRE(names.insert(name).second);
      REQUIRE(point_of(name, spec) == every[i]);
      if (i > 0 && every[i].layer == every[i - 1].layer) {
        REQUIRE(depth(every[i - 1].site) < depth(every[i].site));
      }
    }
    for (Point point : points(spec, false)) REQUIRE(names.contains(name_of(point)));
  }
}

TEST_CASE("between them three models have points at every site") {
  std::set<Site> sites;
  for (const Spec& spec : {llama(), gpt2(), rich()}) {
    for (Point point : points(spec, true)) sites.insert(point.site);
  }
  REQUIRE(sites.size() == static_cast<size_t>(kSites));
}

TEST_CASE("points exist where the model has them, expanded ones when named") {
  REQUIRE(has(llama(), {Site::rot_q, 1}, false));
  REQUIRE_FALSE(has(gpt2(), {Site::rot_q, 1}));
  REQUIRE(has(gpt2(), {Site::pos_embed, -1}, false));
  REQUIRE_FALSE(has(llama(), {Site::pos_embed, -1}));
  REQUIRE(has(llama(), {Site::mlp_pre_linear, 1}, false));
  REQUIRE_FALSE(has(gpt2(), {Site::mlp_pre_linear, 1}));
  REQUIRE(has(llama(), {Site::tokens, -1}));
  REQUIRE_FALSE(has(llama(), {Site::tokens, -1}, false));
  for (Site site :
       {Site::attn_in, Site::q_input, Site::k_input, Site::v_input, Site::result, Site::mlp_in}) {
    REQUIRE(has(llama(), {site, 1}));
    REQUIRE_FALSE(has(llama(), {site, 1}, false));
  }
}

TEST_CASE("the points of norms follow from where they stand") {
  struct Case {
    NormPlacement norms;
    bool before, after;
  };
  for (const Case& c :
       {Case{NormPlacement::before, true, false}, Case{NormPlacement::after, false, true},
        Case{NormPlacement::around, true, true}, Case{NormPlacement::behind, true, false}}) {
    Spec spec = llama();
    spec.norms = c.norms;
    for (Site site : {Site::ln1_scale, Site::ln1_normalized, Site::ln2_scale}) {
      REQUIRE(has(spec, {site, 0}) == c.before);
    }
    for (Site site : {Site::ln1_post_scale, Site::ln2_post_scale, Site::ln2_post_normalized}) {
      REQUIRE(has(spec, {site, 0}) == c.after);
    }
  }
  Spec spec = llama();
  spec.parallel = true;
  REQUIRE_FALSE(has(spec, {Site::resid_mid, 0}));
  REQUIRE(has(spec, {Site::ln2_scale, 0}));
  spec.shared_norm = true;
  REQUIRE(has(spec, {Site::ln1_scale, 0}));
  REQUIRE_FALSE(has(spec, {Site::ln2_scale, 0}));
  spec.final_norm = false;
  REQUIRE_FALSE(has(spec, {Site::ln_final_scale, -1}));
  REQUIRE(has(spec, {Site::unembed_in, -1}));
}

TEST_CASE("the points of a layer follow from what it computes otherwise") {
  Spec spec = rich();
  for (Site dense : {Site::mlp_pre, Site::mlp_pre_linear, Site::mlp_post}) {
    REQUIRE(has(spec, {dense, 0}));
    REQUIRE_FALSE(has(spec, {dense, 1}));
  }
  for (Site mixture : {Site::router_logits, Site::expert_indices, Site::expert_weights,
                       Site::expert_out, Site::shared_out}) {
    REQUIRE_FALSE(has(spec, {mixture, 0}));
    REQUIRE(has(spec, {mixture, 1}));
  }
  for (int layer : {0, 1}) REQUIRE(has(spec, {Site::mlp_raw_out, layer}));
  spec.mixture.d_shared = 0;
  REQUIRE_FALSE(has(spec, {Site::shared_out, 1}));

  spec.layers[1].rope = -1;
  REQUIRE(has(spec, {Site::rot_k, 0}));
  REQUIRE_FALSE(has(spec, {Site::rot_k, 1}));
  REQUIRE(has(spec, {Site::k_normed, 1}));
  spec.qk_norm_rotated_only = true;
  REQUIRE(has(spec, {Site::k_normed, 0}));
  REQUIRE_FALSE(has(spec, {Site::k_normed, 1}));
  spec.latent.q_rank = 0;
  REQUIRE_FALSE(has(spec, {Site::q_latent, 0}));
  REQUIRE(has(spec, {Site::kv_latent, 0}));
  spec.sinks = false;
  REQUIRE_FALSE(has(spec, {Site::attn_sink, 0}));
}

TEST_CASE("shapes follow the sizes of the model") {
  const Spec spec = llama();
  const auto shape = [&](const char* name) { return shape_of(point_of(name, spec), spec); };
  REQUIRE(shape("hook_tokens") == Shape{"batch", "pos"});
  REQUIRE(shape("blocks.0.hook_resid_pre") == Shape{"batch", "pos", "30"});
  REQUIRE(shape("blocks.1.attn.hook_q") == Shape{"batch", "pos", "4", "10"});
  REQUIRE(shape("blocks.1.attn.hook_rot_k") == Shape{"batch", "pos", "2", "10"});
  REQUIRE(shape("blocks.1.attn.hook_pattern") == Shape{"batch", "4", "query", "key"});
  REQUIRE(shape("blocks.1.hook_v_input") == Shape{"batch", "pos", "2", "30"});
  REQUIRE(shape("blocks.1.attn.hook_result") == Shape{"batch", "pos", "4", "30"});
  REQUIRE(shape("blocks.0.mlp.hook_post") == Shape{"batch", "pos", "37"});
  REQUIRE(shape("ln_final.hook_scale") == Shape{"batch", "pos", "1"});
  REQUIRE(shape("unembed.hook_out") == Shape{"batch", "pos", "97"});
  const Spec more = rich();
  const auto other = [&](const char* name) { return shape_of(point_of(name, more), more); };
  REQUIRE(other("blocks.0.attn.hook_q_latent") == Shape{"batch", "pos", "9"});
  REQUIRE(other("blocks.0.attn.hook_kv_latent") == Shape{"batch", "pos", "11"});
  REQUIRE(other("blocks.0.attn.hook_k_normed") == Shape{"batch", "pos", "2", "10"});
  REQUIRE(other("blocks.0.attn.hook_v") == Shape{"batch", "pos", "2", "7"});
  REQUIRE(other("blocks.0.attn.hook_z") == Shape{"batch", "pos", "4", "7"});
  REQUIRE(other("blocks.0.attn.hook_sink") == Shape{"batch", "4", "query"});
  REQUIRE(other("blocks.1.mlp.hook_router_logits") == Shape{"batch", "pos", "6"});
  REQUIRE(other("blocks.1.mlp.hook_expert_indices") == Shape{"batch", "pos", "2"});
  REQUIRE(other("blocks.1.mlp.hook_expert_out") == Shape{"batch", "pos", "2", "30"});
  REQUIRE(other("embed.ln.hook_normalized") == Shape{"batch", "pos", "30"});
  REQUIRE(other("unembed.hook_in") == Shape{"batch", "pos", "12"});
  REQUIRE(shape("unembed.hook_in") == Shape{"batch", "pos", "30"});
  for (Point point : points(spec, true)) {
    REQUIRE(shape_of(point, spec).size() >= 2);
    REQUIRE(shape_of(point, spec)[0] == "batch");
  }
}

TEST_CASE("a name that is no point is refused with the nearest") {
  const auto refused = [](std::string_view name) -> std::string {
    try {
      point_of(name, llama());
    } catch (const std::out_of_range& error) {
      return error.what();
    }
    FAIL("accepted");
    return "";
  };
  REQUIRE(says(refused("blocks.1.hook_resid_pots"), "did you mean 'blocks.1.hook_resid_post'?"));
  REQUIRE(says(refused("blocks.2.hook_resid_post"), "2 layers"));
  REQUIRE(says(refused("hook_pos_embed"), "hook_pos_embed"));
  REQUIRE_FALSE(says(refused("quite another thing"), "did you mean"));
}

}  // namespace lenswright::test_points
