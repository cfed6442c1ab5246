#include "model/tiny.h"

namespace lenswright::test_adapters {
namespace {

using test::ids;
using test::logits;
using test::Tiny;
using test::whole;

at::Tensor unit(int64_t size) {
  const at::Tensor v = test::waves({size}, 2.3);
  return v / v.norm();
}

at::Tensor without(const at::Tensor& x, const at::Tensor& v) {
  return x - at::matmul(x, v).unsqueeze(-1) * v;
}

// W' = (I - v vᵀ) W and b' = (I - v vᵀ) b in the stored tensors.
void ablate_weights(const Model& model, const WriterSite& writer, const at::Tensor& v) {
  Stored& weight = *model.stored(writer.weight);
  weight.value =
      writer.residual_axis == 1 ? without(weight.value, v) : without(weight.value.t(), v).t();
  if (writer.bias.empty()) return;
  Stored& bias = *model.stored(writer.bias);
  bias.value = without(bias.value, v);
}

void restore(const Model& model) {
  for (const auto& [name, stored] : model.stored()) stored->value = stored->original;
}

}  // namespace

TEST_CASE("an adapter on any writer is the change of its weights, to logits and to every tap") {
  // Untied: the embedding's weight is then no unembedding.
  const Json gpt2 = test::with(test::gpt2_config(), "tie_word_embeddings", false);
  for (const Json& config : {test::llama_config(), gpt2}) {
    const Tiny tiny(config);
    const Batch batch = whole(ids(2, 5));
    const at::Tensor v = unit(tiny->spec().d_model);
    for (const WriterSite& writer : tiny->writers()) {
      CAPTURE(writer.name);
      std::vector<at::Tensor> seen[2];
      Taps taps[2];
      for (int i = 0; i < 2; ++i) {
        for (Point point : points(tiny->spec(), true)) {
          taps[i].read(point, [&, i](const at::Tensor& x) { seen[i].push_back(x.clone()); });
        }
      }
      taps[0].adapt(
          writer.key(),
          {nullptr, [&](const at::Tensor&, at::Tensor y) { return without(y, v); }, nullptr});
      const at::Tensor tried = logits(*tiny, batch, taps[0]);
      ablate_weights(*tiny, writer, v);
      const at::Tensor applied = logits(*tiny, batch, taps[1]);
      restore(*tiny);
      REQUIRE(test::relative(tried, applied) < 1e-12);
      REQUIRE(seen[0].size() == seen[1].size());
      for (size_t i = 0; i < seen[0].size(); ++i) {
        if (!seen[0][i].is_floating_point()) continue;
        REQUIRE(test::relative(seen[0][i].nan_to_num(0.0, 0.0, 0.0),
                               seen[1][i].nan_to_num(0.0, 0.0, 0.0)) < 1e-12);
      }
    }
  }
}

TEST_CASE("an adapter changes what a writer reads, and adds what depends on nothing") {
  const Tiny tiny(test::gpt2_config());
  const Batch batch = whole(ids(2, 5));
  const at::Tensor shift = test::waves({30}, 0.3);
  Taps taps;
  taps.adapt({WriterKind::mlp, 1}, {[](at::Tensor x) { return x * 3; }, nullptr,
                                    [&](at::Tensor y) { return y + shift; }});
  const at::Tensor tried = logits(*tiny, batch, taps);
  Stored& weight = *tiny->stored("transformer.h.1.mlp.c_proj.weight");
  Stored& bias = *tiny->stored("transformer.h.1.mlp.c_proj.bias");
  weight.value = weight.original * 3;
  bias.value = bias.original + shift;
  const at::Tensor applied = logits(*tiny, batch);
  REQUIRE(test::relative(tried, applied) < 1e-12);
  restore(*tiny);
  REQUIRE(test::relative(logits(*tiny, batch), applied) > 1e-3);
}

TEST_CASE("an adapter's after sees what the writer read before it was changed") {
  const Tiny tiny(test::llama_config());
  const Batch batch = whole(ids(1, 4));
  at::Tensor post;
  Taps taps;
  taps.read({Site::mlp_post, 0}, [&](const at::Tensor& x) { post = x; });
  taps.adapt({WriterKind::mlp, 0}, {[](at::Tensor x) { return x * 0; },
                                    [&](const at::Tensor& input, at::Tensor y) {
                                      REQUIRE(test::same(input, post));
                                      return y;
                                    },
                                    nullptr});
  logits(*tiny, batch, taps);
  REQUIRE(post.defined());
}

}  // namespace lenswright::test_adapters
