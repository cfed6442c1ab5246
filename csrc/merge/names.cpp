#include "merge/names.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <vector>

namespace lenswright {
namespace {

using Words = std::vector<std::string_view>;

Words words_of(std::string_view tensor) {
  Words out;
  size_t begin = 0;
  while (true) {
    const size_t dot = tensor.find('.', begin);
    out.push_back(tensor.substr(begin, dot - begin));
    if (dot == std::string_view::npos) return out;
    begin = dot + 1;
  }
}

template <size_t n>
bool is_one_of(std::string_view word, const std::array<std::string_view, n>& list) {
  return std::ranges::find(list, word) != list.end();
}

constexpr std::array<std::string_view, 5> kStacks = {"layers", "h", "blocks", "block", "layer"};
constexpr std::array<std::string_view, 7> kHeads = {
    "lm_head", "embed_out", "output", "output_layer", "score", "classifier", "head"};
constexpr std::array<std::string_view, 6> kEmbeddings = {
    "embed_tokens", "wte", "word_embeddings", "embed_in", "tok_embeddings", "embeddings"};
constexpr std::array<std::string_view, 3> kLastNorms = {"ln_f", "norm_f", "ln_out"};

// The word before "weight" or "bias".
std::string_view subject(std::string_view tensor) {
  Words words = words_of(tensor);
  if (words.size() > 1 && (words.back() == "weight" || words.back() == "bias")) words.pop_back();
  return words.back();
}

}  // namespace

std::optional<LayerName> layer_of(std::string_view tensor) {
  const Words words = words_of(tensor);
  for (size_t i = 0; i + 2 < words.size(); ++i) {
    const std::string_view number = words[i + 1];
    if (!is_one_of(words[i], kStacks)) continue;
    int64_t layer = 0;
    const auto [end, error] = std::from_chars(number.begin(), number.end(), layer);
    if (error != std::errc() || end != number.end() || number.front() == '-') continue;
    const auto begin = static_cast<size_t>(number.data() - tensor.data());
    return LayerName{std::string(tensor.substr(0, begin)), layer,
                     std::string(tensor.substr(begin + number.size()))};
  }
  return std::nullopt;
}

bool is_head(std::string_view tensor) { return is_one_of(subject(tensor), kHeads); }

bool is_token_embedding(std::string_view tensor) { return is_one_of(subject(tensor), kEmbeddings); }

bool comes_last(std::string_view tensor) {
  const std::string_view word = subject(tensor);
  const bool norm =
      word.find("norm") != std::string_view::npos && word.find("embed") == std::string_view::npos;
  return norm || is_head(tensor) || is_one_of(word, kLastNorms);
}

bool is_computed(std::string_view tensor) {
  return tensor.ends_with(".rotary_emb.inv_freq") || tensor.ends_with(".attn.masked_bias");
}

}  // namespace lenswright
