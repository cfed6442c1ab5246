#include "edits/targets.h"

#include <ATen/ATen.h>

#include "catch.h"

namespace lenswright::test_targets {
namespace {

const std::vector<WriterSite> kWriters = {
    {"embed.W_E", WriterKind::token_embedding, {Site::embed, -1}, "wte", "", 1},
    {"blocks.0.attn.W_O", WriterKind::attention, {Site::attn_raw_out, 0}, "o.0", "", 0},
    {"blocks.0.mlp.W_out", WriterKind::mlp, {Site::mlp_raw_out, 0}, "d.0", "", 0},
    {"blocks.1.attn.W_O", WriterKind::attention, {Site::attn_raw_out, 1}, "o.1", "", 0},
};

std::vector<std::string> chosen(const std::vector<std::string>& asked) {
  std::vector<std::string> names;
  for (const WriterSite* writer : choose_writers(kWriters, asked).chosen)
    names.push_back(writer->name);
  return names;
}

}  // namespace

TEST_CASE("writers are chosen by kind, name or glob, in the order of a run") {
  using Names = std::vector<std::string>;
  REQUIRE(chosen({"all"}).size() == 4);
  REQUIRE(chosen({"attention"}) == Names{"blocks.0.attn.W_O", "blocks.1.attn.W_O"});
  REQUIRE(chosen({"blocks.1.*", "mlp"}) == Names{"blocks.0.mlp.W_out", "blocks.1.attn.W_O"});
  REQUIRE(chosen({"embed.W_E", "token_embedding"}) == Names{"embed.W_E"});
  const Targets targets = choose_writers(kWriters, {"mlp"});
  REQUIRE(targets.reasons.size() == 3);
  REQUIRE(targets.reasons.at("embed.W_E").find("'mlp'") != std::string::npos);
}

TEST_CASE("what names no writer is refused with the nearest") {
  try {
    chosen({"attention", "blocks.0.mlp.W_ou"});
    FAIL("accepted");
  } catch (const c10::ValueError& error) {
    REQUIRE(std::string(error.what()).find("did you mean 'blocks.0.mlp.W_out'") !=
            std::string::npos);
  }
  REQUIRE_THROWS_AS(chosen({}), c10::ValueError);
  REQUIRE_THROWS_AS(chosen({"positional_embedding"}), c10::ValueError);
  const WriterIndex index(kWriters);
  REQUIRE(&index.named("blocks.1.attn.W_O") == &kWriters[3]);
  REQUIRE_THROWS_AS(index.named("blocks.2.attn.W_O"), c10::ValueError);
}

}  // namespace lenswright::test_targets
