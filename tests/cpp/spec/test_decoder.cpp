#include "spec/decoder.h"

#include <algorithm>

#include "io/files.h"
#include "io/writer.h"
#include "spec/config_reader.h"
#include "spec/configs.h"

namespace lenswright::test_decoder {
namespace {

using namespace test;  // NOLINT: tests only
using Names = std::vector<std::string>;

/// A checkpoint of float32 tensors by name: one number each throughout.
struct Tensor {
  std::string name;
  std::vector<int64_t> shape;
  float number = 0;
};

std::shared_ptr<Checkpoint> checkpoint(const std::filesystem::path& path, const Json& config,
                                       const std::vector<Tensor>& tensors) {
  std::vector<TensorSpec> specs;
  for (const Tensor& t : tensors) specs.push_back({t.name, Dtype::f32, t.shape});
  FolderWriter writer(path);
  FileWriter& file = writer.shard("model.safetensors", specs, {});
  for (const Tensor& t : tensors) {
    size_t count = 1;
    for (int64_t size : t.shape) count *= static_cast<size_t>(size);
    const std::vector<float> numbers(count, t.number);
    file.pwrite(t.name, 0, std::as_bytes(std::span(numbers)));
  }
  writer.write_text("config.json", config.dump());
  writer.commit();
  return Checkpoint::open(path);
}

// All that a tied checkpoint of this config holds, biases left out.
std::vector<Tensor> tensors_of(const Json& config) {
  Spec spec = read(config);
  spec.tied = true;
  std::vector<Tensor> tensors;
  for (const Row& row : rows_in(family_of(config), spec, [](const std::string& name) {
         return !name.ends_with("_proj.bias") && !name.ends_with("norm.bias");
       })) {
    const bool seen = std::any_of(tensors.begin(), tensors.end(),
                                  [&](const Tensor& t) { return t.name == row.source; });
    if (!seen) tensors.push_back({row.source, row.stored_shape(), 1});
  }
  return tensors;
}

// The decoder of such a checkpoint, tensors beyond it included; the first part of names is
// replaced.
Decoder decoder(const Json& config, const std::vector<Tensor>& more = {},
                const std::string& from = "", const std::string& to = "") {
  const TempFolder folder;
  std::vector<Tensor> tensors = tensors_of(config);
  for (Tensor& t : tensors) {
    if (t.name.starts_with(from)) t.name = to + t.name.substr(from.size());
  }
  tensors.insert(tensors.end(), more.begin(), more.end());
  return decoder_of(*checkpoint(folder / "model", config, tensors));
}

bool has_head(const Decoder& d) {
  return std::any_of(d.rows.begin(), d.rows.end(),
                     [](const Row& row) { return row.canonical == "unembed.W_U"; });
}

// A family made up for the test: three layouts, of which two have the same names, and renamings.
Spec read_made_up(const Json& json) {
  ConfigReader config(json);
  Spec spec;
  spec.n_layers = 1;
  spec.d_model = config.size("width");
  spec.n_heads = spec.n_kv_heads = 2;
  spec.d_head = 4;
  spec.position = PositionKind::none;
  spec.same_layers(1.0);
  return spec;
}

std::vector<Row> rows_apart(const Spec& s) {
  Rows rows;
  rows.matrix("embed.W_E", "model.embed.weight", 9, s.d_model);
  rows.linear("blocks.0.attn.", "Q", "model.q", 8, s.d_model);
  rows.linear("blocks.0.attn.", "K", "model.k", 8, s.d_model);
  if (!s.tied) rows.matrix("unembed.W_U", "model.head.weight", 9, s.d_model);
  return rows.take();
}

template <Layout layout>
std::vector<Row> rows_fused(const Spec& s) {
  Rows rows;
  rows.matrix("embed.W_E", "model.embed.weight", 9, s.d_model);
  rows.parts({"blocks.0.attn.W_Q", "blocks.0.attn.W_K"}, "model.qk.weight", {8, 8}, s.d_model,
             layout);
  if (!s.tied) rows.matrix("unembed.W_U", "model.head.weight", 9, s.d_model);
  return rows.take();
}

Family made_up() {
  return {"MadeUp",
          "made_up",
          read_made_up,
          {rows_apart, rows_fused<Layout::out_in>, rows_fused<Layout::in_out>},
          {{{"model.embed", "inner.table"}, {"model.", "inner."}}, {{"model.", ""}}}};
}

Names sources_in(const Names& held, bool tied = false) {
  Spec spec = read_made_up(json(R"({"width": 6})"));
  spec.tied = tied;
  Names sources;
  for (const Row& row : rows_in(made_up(), spec, [&](const std::string& name) {
         return std::find(held.begin(), held.end(), name) != held.end();
       })) {
    sources.push_back(row.source);
  }
  return sources;
}

}  // namespace

TEST_CASE("a decoder's embeddings are tied where config.json says so and no other head is there") {
  const Json tied = with(llama_config(), "tie_word_embeddings", true);
  for (const auto& more : std::vector<std::vector<Tensor>>{{}, {{"lm_head.weight", {97, 30}, 1}}}) {
    const Decoder d = decoder(tied, more);  // without a head, and with the embedding again
    REQUIRE(d.family->architecture == "LlamaForCausalLM");
    REQUIRE(d.spec.tied);
    REQUIRE_FALSE(has_head(d));
    REQUIRE(d.head.source == "lm_head.weight");
    REQUIRE(d.head.canonical == "unembed.W_U");
  }
}

TEST_CASE("a decoder's embeddings are not tied where the checkpoint holds a head that differs") {
  const Json tied = with(llama_config(), "tie_word_embeddings", true);
  for (const Tensor& head : {Tensor{"lm_head.weight", {97, 30}, 2},     // other numbers
                             Tensor{"lm_head.weight", {30, 97}, 1}}) {  // another shape
    const Decoder d = decoder(tied, {head});
    REQUIRE_FALSE(d.spec.tied);
    REQUIRE(has_head(d));
    REQUIRE(d.rows.back().source == "lm_head.weight");
  }
  for (const bool there : {true, false}) {  // missing or not, it is asked for
    const std::vector<Tensor> none, one = {{"lm_head.weight", {97, 30}, 1}};
    const Decoder own = decoder(llama_config(), there ? one : none);
    REQUIRE_FALSE(own.spec.tied);
    REQUIRE(has_head(own));
  }
}

TEST_CASE("a decoder is found under the names its checkpoint uses") {
  REQUIRE(decoder(gpt2_config()).rows.front().source == "transformer.wte.weight");
  const Decoder d = decoder(gpt2_config(), {}, "transformer.");
  REQUIRE(d.rows.front().source == "wte.weight");
  REQUIRE(d.spec.tied);
  REQUIRE(d.head.source == "lm_head.weight");
  const Decoder own = decoder(gpt2_config(), {{"lm_head.weight", {97, 30}, 2}}, "transformer.");
  REQUIRE_FALSE(own.spec.tied);
  REQUIRE(own.rows.front().source == "wte.weight");
  REQUIRE(has_head(own));
}

TEST_CASE("a decoder's optional weights are left out where the checkpoint lacks them") {
  const auto names = [](const Decoder& d) {
    Names list;
    for (const Row& row : d.rows) list.push_back(row.canonical);
    return list;
  };
  const Names without = names(decoder(llama_config()));
  const Names with =
      names(decoder(llama_config(), {{"model.layers.1.self_attn.q_proj.bias", {40}, 1}}));
  REQUIRE(with.size() == without.size() + 1);
  REQUIRE(std::count(with.begin(), with.end(), "blocks.1.attn.b_Q") == 1);
}

TEST_CASE("a family's rows come in the layout the checkpoint holds, the first where none fits") {
  const Names apart = {"model.embed.weight", "model.q.weight", "model.k.weight",
                       "model.head.weight"};
  REQUIRE(sources_in(apart) == apart);
  const Names fused = {"model.embed.weight", "model.qk.weight", "model.head.weight"};
  const Names found = sources_in(fused);
  REQUIRE(found == Names{fused[0], fused[1], fused[1], fused[2]});
  REQUIRE(sources_in({"model.embed.weight", "model.k.weight"}) == apart);  // to be named as missing
  REQUIRE(sources_in({"model.embed.weight", "model.qk.weight"}, true) ==
          Names{fused[0], fused[1], fused[1]});
}

TEST_CASE("a family's rows are renamed by the first part that fits, in every layout") {
  const Names apart = {"embed.weight", "q.weight", "q.bias", "k.weight", "head.weight"};
  REQUIRE(sources_in(apart) == apart);
  const Names inner = {"inner.table.weight", "inner.qk.weight", "inner.head.weight"};
  REQUIRE(sources_in(inner) == Names{inner[0], inner[1], inner[1], inner[2]});
  const Spec spec = read_made_up(json(R"({"width": 6})"));
  for (const auto& [held, head] :
       std::vector<std::pair<std::string, std::string>>{{"model.embed.weight", "model.head.weight"},
                                                        {"inner.table.weight", "inner.head.weight"},
                                                        {"embed.weight", "head.weight"},
                                                        {"nothing", "model.head.weight"}}) {
    const auto contains = [&](const std::string& name) { return name == held; };
    REQUIRE(head_row(made_up(), spec, contains).source == head);
  }
}

TEST_CASE("between a family's layouts of the same names shapes decide, the first where none fits") {
  const Spec spec = read_made_up(json(R"({"width": 6})"));
  const auto contains = [](const std::string& name) {
    return name == "model.embed.weight" || name == "model.qk.weight" || name == "model.head.weight";
  };
  using Shape = std::vector<int64_t>;
  for (const auto& [stored, layout] : std::vector<std::pair<Shape, Layout>>{
           {{16, 6}, Layout::out_in}, {{6, 16}, Layout::in_out}, {{5, 5}, Layout::out_in}}) {
    const auto shape = [&, own = stored](const std::string& name) -> Shape {
      return name == "model.qk.weight" ? own : Shape{9, 6};
    };
    const auto rows = rows_in(made_up(), spec, contains, shape);
    REQUIRE(rows.size() == 4);
    REQUIRE(rows[1].layout == layout);
  }
}

TEST_CASE("a decoder may lie within a model that also sees, and its config within config.json") {
  Json config = json(R"({"architectures": ["LlavaForConditionalGeneration"],
      "model_type": "llava", "vision_config": {"hidden_size": 7}})");
  config.set("text_config", with(llama_config(), "sauce", 1));
  const Tensor seeing = {"model.vision_tower.x", {3}, 1};
  const Tensor head = {"lm_head.weight", {97, 30}, 2};
  const Decoder d = decoder(config, {seeing, head}, "model.", "model.language_model.");
  REQUIRE(d.family->architecture == "LlavaForConditionalGeneration");
  REQUIRE(d.spec.d_model == 30);
  REQUIRE(d.spec.d_value == d.spec.d_head);
  REQUIRE(d.spec.unknown_keys == Names{"sauce"});
  REQUIRE(d.rows.front().source == "model.language_model.embed_tokens.weight");
  REQUIRE(d.rows.back().source == "lm_head.weight");
  REQUIRE(has_head(d));
}

}  // namespace lenswright::test_decoder
