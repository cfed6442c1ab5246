#include "spec/points.h"

#include <set>

#include "spec/configs.h"

namespace lenswright {
namespace {

using namespace test;  // NOLINT: tests only
using Shape = std::vector<std::string>;

Spec llama() { return read(llama_config()); }
Spec gpt2() { return read(gpt2_config()); }

}  // namespace

TEST_CASE("every point has a name that means it, in the order of a run") {
  for (const Spec& spec : {llama(), gpt2()}) {
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

TEST_CASE("between them the two families have every site") {
  std::set<Site> sites;
  for (const Spec& spec : {llama(), gpt2()}) {
    for (Point point : points(spec, true)) sites.insert(point.site);
  }
  REQUIRE(sites.size() == static_cast<size_t>(kSites));
}

TEST_CASE("points exist where the model has them, expanded ones when named") {
  const auto has = [](const Spec& spec, Site site, bool expanded) {
    for (Point point : points(spec, expanded)) {
      if (point.site == site) return true;
    }
    return false;
  };
  REQUIRE(has(llama(), Site::rot_q, false));
  REQUIRE_FALSE(has(gpt2(), Site::rot_q, true));
  REQUIRE(has(gpt2(), Site::pos_embed, false));
  REQUIRE_FALSE(has(llama(), Site::pos_embed, true));
  REQUIRE(has(llama(), Site::mlp_pre_linear, false));
  REQUIRE_FALSE(has(gpt2(), Site::mlp_pre_linear, true));
  for (Site site : {Site::tokens, Site::attn_in, Site::q_input, Site::k_input, Site::v_input,
                    Site::result, Site::mlp_in}) {
    REQUIRE(has(llama(), site, true));
    REQUIRE_FALSE(has(llama(), site, false));
  }
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

}  // namespace lenswright
