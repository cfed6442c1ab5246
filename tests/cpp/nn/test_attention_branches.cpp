#include "nn/attention_branches.h"

#include "nn/attention_by_hand.h"

namespace lenswright::test_attention_branches {

// Two tokens that all share, then one alone and a stretch that parts once more.
const Branches kTree = {{0, 3, {0, 1, 2}}, {3, 2, {0, 1, 3, 4}}, {5, 1, {0, 1, 3, 5}}};

TEST_CASE("a branch attends as if its path were a row of its own, under every rule") {
  for (const auto type : {at::kDouble, at::kFloat, at::kHalf}) {
    const double limit = type == at::kDouble ? 1e-13 : type == at::kFloat ? 1e-5 : 1e-2;
    const at::Tensor q = test::waves({2, 4, 6, 6}, 1.1, type);
    const at::Tensor k = test::waves({2, 2, 6, 6}, 1.3, type);
    const at::Tensor v = test::waves({2, 2, 6, 9}, 0.7, type);
    for (const test::Told& told : test::told_in_turn(4)) {
      AttentionSetting set = test::setting(told, {{0, 6, 0, 6}, {0, 6, 0, 6}}, 6, 6, type);
      const at::Tensor z = branch_attention(q, k, v, kTree, set);
      REQUIRE(z.sizes() == at::IntArrayRef({2, 4, 6, 9}));
      for (const Branch& branch : kTree) {
        const at::Tensor path = at::tensor(branch.path, at::kLong);
        const int64_t keys = path.numel();
        const RowSpans alone = {{0, keys, 0, keys}, {0, keys, 0, keys}};
        test::ByHand by_hand(q.index_select(2, path), k.index_select(2, path),
                             v.index_select(2, path), told);
        const at::Tensor expected = by_hand.of(alone).z;
        REQUIRE(test::relative(z.index_select(2, path.slice(0, keys - branch.length)),
                               expected.slice(2, keys - branch.length)) < limit);
      }
    }
  }
}

}  // namespace lenswright::test_attention_branches
