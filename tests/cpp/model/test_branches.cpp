#include "model/blocks.h"
#include "model/tiny.h"
#include "nn/deterministic.h"

namespace lenswright::test_branches {

using test::ids;
using test::logits;
using test::Tiny;
using test::whole;

TEST_CASE("rows that branch give what each of their paths gives alone") {
  const std::vector<Fork> forks = {{-1, 3}, {1, 2}, {3, 1}};
  const at::Tensor tokens = ids(2, 6);
  const Batch batch(tokens, forks);
  for (const Json& config : test::all_configs()) {
    CAPTURE(config.dump());
    const Tiny tiny(config);
    for (const bool fixed : {false, true}) {
      const DeterministicGuard guard(fixed);
      const at::Tensor together = logits(*tiny, batch);
      for (const Branch& branch : batch.branches()) {
        const at::Tensor path = at::tensor(branch.path, at::kLong);
        const at::Tensor alone = logits(*tiny, whole(tokens.index_select(1, path)));
        REQUIRE(test::relative(together.index_select(1, path), alone) < 1e-12);
      }
    }
  }
}

TEST_CASE("rows that branch are refused where each path would turn by its own length") {
  const Tiny tiny(test::growing_config());
  const std::vector<Fork> forks = {{-1, 3}, {2, 2}, {0, 1}};
  REQUIRE_THROWS_AS(logits(*tiny, Batch(ids(2, 6), forks)), c10::ValueError);
}

}  // namespace lenswright::test_branches
