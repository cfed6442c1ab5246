#include <map>

#include "model/blocks.h"
#include "model/tiny.h"
#include "nn/deterministic.h"

namespace lenswright::test_model {
namespace {

using test::all_configs;
using test::configs;
using test::ids;
using test::logits;
using test::Tiny;
using test::whole;

// Whether what was read may be written back there.
bool may_be_written(Point point, const Spec& spec) {
  const bool split = point.site == Site::attn_in || point.site == Site::q_input ||
                     point.site == Site::k_input || point.site == Site::v_input;
  if (split && spec.latent.kv_rank > 0) return false;
  if (point.site == Site::attn_in) return spec.n_heads == spec.n_kv_heads;
  return point.site != Site::attn_sink;
}

std::map<Point, at::Tensor> everything(const Model& model, const Batch& batch) {
  std::map<Point, at::Tensor> seen;
  Taps taps;
  for (Point point : points(model.spec(), true)) {
    taps.read(point, [&seen, point](const at::Tensor& x) { seen[point] = x.clone(); });
  }
  logits(model, batch, taps);
  return seen;
}

}  // namespace

TEST_CASE("every point is seen once, in its shape") {
  for (const Json& config : all_configs()) {
    CAPTURE(config.dump());
    const Tiny tiny(config);
    const auto seen = everything(*tiny, whole(ids(2, 5)));
    const std::map<std::string, int64_t> symbols = {
        {"batch", 2}, {"pos", 5}, {"query", 5}, {"key", 5}};
    for (Point point : points(tiny->spec(), true)) {
      CAPTURE(name_of(point));
      REQUIRE(seen.contains(point));
      std::vector<int64_t> shape;
      for (const std::string& size : shape_of(point, tiny->spec())) {
        shape.push_back(symbols.contains(size) ? symbols.at(size) : std::stoll(size));
      }
      REQUIRE(seen.at(point).sizes() == at::IntArrayRef(shape));
    }
  }
}

TEST_CASE("what is seen adds up: patterns to z, heads to attention, writers to the residual") {
  for (const Json& config : configs()) {
    const Tiny tiny(config);
    const Spec& spec = tiny->spec();
    auto seen = everything(*tiny, whole(ids(2, 5)));
    const bool learned = spec.position == PositionKind::learned;
    at::Tensor sum = seen[{Site::embed, -1}];
    if (learned) sum = sum + seen[{Site::pos_embed, -1}];
    for (int layer = 0; layer < spec.n_layers; ++layer) {
      const auto at = [&](Site site) { return seen[{site, layer}]; };
      REQUIRE(test::relative(at(Site::resid_pre), sum) < 1e-13);
      const at::Tensor v =
          at(Site::v).transpose(1, 2).repeat_interleave(spec.n_heads / spec.n_kv_heads, 1);
      const at::Tensor z = at::matmul(at(Site::pattern), v).transpose(1, 2);
      REQUIRE(test::relative(z, at(Site::z)) < 1e-13);
      at::Tensor heads = at(Site::result).sum(2);
      const std::string bias = "blocks." + std::to_string(layer) + ".attn.b_O";
      heads = heads + tiny->weight(bias).view();
      REQUIRE(test::relative(heads, at(Site::attn_out)) < 1e-13);
      sum = sum + at(Site::attn_out);
      REQUIRE(test::relative(at(Site::resid_mid), sum) < 1e-13);
      sum = sum + at(Site::mlp_out);
      REQUIRE(test::relative(at(Site::resid_post), sum) < 1e-13);
    }
  }
}

TEST_CASE("watching changes no number, and writing back what was read changes none either") {
  for (const Json& config : all_configs()) {
    CAPTURE(config.dump());
    const Tiny tiny(config);
    const Batch batch = whole(ids(2, 5));
    const at::Tensor plain = logits(*tiny, batch);
    for (Point point : points(tiny->spec(), true)) {
      CAPTURE(name_of(point));
      Taps readers, writers;
      readers.read(point, [](const at::Tensor&) {});
      REQUIRE(test::same(logits(*tiny, batch, readers), plain));
      if (!may_be_written(point, tiny->spec())) continue;
      writers.write(point, [](at::Tensor x) { return x.clone(); });
      REQUIRE(test::relative(logits(*tiny, batch, writers), plain) < 1e-12);
    }
  }
}

TEST_CASE("nor does it where rows are so many that MLPs take them in slices") {
  for (const Json& config : configs()) {
    CAPTURE(config.dump());
    const Tiny tiny(config, at::kFloat);
    const at::Tensor tokens = ids(203, 7);
    const at::Tensor plain = logits(*tiny, whole(tokens));
    for (const Site site : {Site::mlp_pre, Site::mlp_pre_linear, Site::mlp_post}) {
      if (site == Site::mlp_pre_linear && !tiny->spec().gated) continue;
      Taps readers, writers;
      int64_t rows = 0;
      readers.read({site, 0}, [&](const at::Tensor& x) { rows = x.size(0) * x.size(1); });
      REQUIRE(test::same(logits(*tiny, whole(tokens), readers), plain));
      REQUIRE(rows == tokens.numel());
      writers.write({site, 0}, [](at::Tensor x) { return x.clone(); });
      REQUIRE(test::same(logits(*tiny, whole(tokens), writers), plain));
    }
    const at::Tensor few = logits(*tiny, whole(tokens.narrow(0, 150, 3)));
    REQUIRE(test::relative(plain.narrow(0, 150, 3), few) < 1e-5);
    const DeterministicGuard guard(true);
    REQUIRE(test::same(logits(*tiny, whole(tokens)).narrow(0, 150, 3),
                       logits(*tiny, whole(tokens.narrow(0, 150, 3)))));
  }
}

TEST_CASE("no position sees a later one") {
  for (const Json& config : all_configs()) {
    CAPTURE(config.dump());
    const Tiny tiny(config);
    const at::Tensor tokens = ids(1, 8);
    at::Tensor other = tokens.clone();
    other.narrow(1, 5, 3).fill_(11);
    const at::Tensor a = logits(*tiny, whole(tokens)), b = logits(*tiny, whole(other));
    REQUIRE(test::relative(a.narrow(1, 0, 5), b.narrow(1, 0, 5)) < 1e-13);
    REQUIRE(test::relative(a.narrow(1, 5, 1), b.narrow(1, 5, 1)) > 1e-6);
  }
}

TEST_CASE("wanted places are what the whole run has there") {
  for (const Json& config : all_configs()) {
    CAPTURE(config.dump());
    const Tiny tiny(config);
    const Batch batch = whole(ids(2, 5));
    Wanted wanted;
    wanted.places = at::tensor({1, 4}, at::kLong);
    const ModelOutput some = tiny->run({batch, {}, nullptr, {}}, Taps(), wanted);
    const at::Tensor all = logits(*tiny, batch).index_select(1, wanted.places);
    REQUIRE(test::relative(some.logits, all) < 1e-12);
    wanted.logits = Logits::last;
    REQUIRE_THROWS_AS(tiny->run({batch, {}, nullptr, {}}, Taps(), wanted), c10::ValueError);
  }
}

TEST_CASE("a row's logits are its own, whatever padding and company it has") {
  for (const Json& config : all_configs()) {
    CAPTURE(config.dump());
    const Tiny tiny(config);
    const at::Tensor tokens = ids(3, 7);
    const std::vector<int64_t> lengths = {7, 3, 5};
    for (Side side : {Side::right, Side::left}) {
      at::Tensor padded = at::full({3, 7}, 13, at::kLong);
      for (int64_t row = 0; row < 3; ++row) {
        const int64_t start = side == Side::left ? 7 - lengths[row] : 0;
        padded[row].narrow(0, start, lengths[row]).copy_(tokens[row].narrow(0, 0, lengths[row]));
      }
      const Batch batch(padded, lengths, side);
      for (const bool exact : {false, true}) {
        const DeterministicGuard guard(exact);
        const at::Tensor all = logits(*tiny, batch);
        const at::Tensor last = logits(*tiny, batch, {}, Logits::last);
        for (int64_t row = 0; row < 3; ++row) {
          const at::Tensor alone =
              logits(*tiny, whole(tokens.narrow(0, row, 1).narrow(1, 0, lengths[row])))[0];
          const at::Tensor here = all[row].narrow(0, batch.start(row), lengths[row]);
          REQUIRE(test::relative(here, alone) < 1e-12);
          REQUIRE(test::relative(last[row][0], alone[lengths[row] - 1]) < 1e-12);
          if (exact) REQUIRE(test::same(here, alone));
        }
      }
    }
  }
}

TEST_CASE("a run may start and stop at any layer") {
  for (const Json& config : all_configs()) {
    CAPTURE(config.dump());
    const Tiny tiny(config);
    const Batch batch = whole(ids(2, 5));
    const at::Tensor plain = logits(*tiny, batch);
    for (int layer = 0; layer <= tiny->spec().n_layers; ++layer) {
      const ModelOutput stopped = tiny->run({batch, {}, nullptr, {}}, {}, {Logits::all, 0, layer});
      REQUIRE_FALSE(stopped.logits.defined());
      const ModelOutput on =
          tiny->run({batch, stopped.residual, nullptr, {}}, {}, {Logits::all, layer, std::nullopt});
      REQUIRE(test::same(on.logits, plain));
    }
    const auto missing = [&] {
      tiny->run({batch, {}, nullptr, {}}, {}, {Logits::all, 1, std::nullopt});
    };
    REQUIRE(test::says(test::thrown<c10::ValueError>(missing), "residual is missing"));
  }
}

TEST_CASE("tokens and positions out of range are refused") {
  const Tiny tiny(test::gpt2_config());
  REQUIRE_THROWS_AS(logits(*tiny, whole(ids(1, 3) + 97)), c10::IndexError);
  REQUIRE_THROWS_AS(logits(*tiny, whole(ids(1, 3) - 97)), c10::IndexError);
  REQUIRE_THROWS_AS(logits(*tiny, whole(ids(1, 65))), c10::ValueError);  // n_ctx is 64
  REQUIRE_NOTHROW(logits(*tiny, whole(ids(1, 64))));
}

TEST_CASE("a model stored in 16 bits computes what its widened copy computes") {
  for (const auto type : {at::kBFloat16, at::kHalf}) {
    const Tiny tiny(test::llama_config(), type);
    const Batch batch = whole(ids(2, 5));
    const at::Tensor narrow = logits(*tiny, batch);
    REQUIRE(narrow.scalar_type() == at::kFloat);
    const Tiny wide(test::llama_config(), type, "float64");
    REQUIRE(test::relative(narrow, logits(*wide, batch)) < 1e-5);
  }
}

}  // namespace lenswright::test_model
