// Numbers of the spec that config.json states under some key, or that are usual in the field: each
// may have been passed over, or read where it does not belong. Keys are told by the words in them.
#include <algorithm>
#include <array>
#include <cstdio>

#include "spec/misreadings/lists.h"

namespace lenswright {
namespace {

std::string text_of(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.6g", value);
  return text.data();
}

bool has_word(std::string_view key, std::initializer_list<std::string_view> words) {
  return std::ranges::any_of(
      words, [&](std::string_view word) { return key.find(word) != std::string_view::npos; });
}

// The first of a name that says a value; later ones of the same value say nothing new.
void offer(std::vector<NamedNumber>& list, const std::string& name, double value) {
  const auto equal = [&](const NamedNumber& one) { return !differ(one.value, value); };
  if (value > 0.0 && std::ranges::none_of(list, equal)) list.push_back({name, value});
}

// --- what a key may mean ---------------------------------------------------------------------

bool is_factor(std::string_view key) { return has_word(key, {"scal", "multipl", "factor"}); }
bool is_cap(std::string_view key) { return has_word(key, {"softcap", "soft_cap"}); }
bool is_of_scores(std::string_view key) { return has_word(key, {"attn", "attention", "score"}); }

void score_caps(std::vector<NamedNumber>& list, std::string_view key, double value, const Spec&) {
  if (is_cap(key) && !has_word(key, {"final"})) {
    offer(list, text_of(value) + " (" + std::string(key) + ")", value);
  }
}

void logit_caps(std::vector<NamedNumber>& list, std::string_view key, double value, const Spec&) {
  if (is_cap(key) && !is_of_scores(key)) {
    offer(list, text_of(value) + " (" + std::string(key) + ")", value);
  }
}

void logit_scales(std::vector<NamedNumber>& list, std::string_view key, double value,
                  const Spec& s) {
  const std::string name(key), from = " (" + name + ")";
  if (key == "dim_model_base") {
    offer(list, text_of(value) + " / d_model" + from, value / static_cast<double>(s.d_model));
  }
  if (!is_factor(key) || is_cap(key) || !has_word(key, {"logit", "head_"})) return;
  offer(list, text_of(value) + from, value);
  if (value != 0.0) offer(list, "1 / " + text_of(value) + from, 1.0 / value);
}

void residual_scales(std::vector<NamedNumber>& list, std::string_view key, double value,
                     const Spec& s) {
  if (!is_factor(key) || !has_word(key, {"resid", "depth"})) return;
  const std::string name(key);
  offer(list, text_of(value) + " (" + name + ")", value);
  offer(list, text_of(value) + " / sqrt(n_layers) (" + name + ")",
        value / std::sqrt(static_cast<double>(s.n_layers)));
}

void embedding_scales(std::vector<NamedNumber>& list, std::string_view key, double value,
                      const Spec&) {
  if (is_factor(key) && has_word(key, {"emb"})) {
    offer(list, text_of(value) + " (" + std::string(key) + ")", value);
  }
}

void score_scales(std::vector<NamedNumber>& list, std::string_view key, double value, const Spec&) {
  if (is_cap(key) || has_word(key, {"logit", "final"})) return;
  if (!is_factor(key) || !has_word(key, {"attn", "attention", "softmax", "score", "query"})) return;
  const std::string name(key);
  offer(list, text_of(value) + " (" + name + ")", value);
  if (value > 1.0)
    offer(list, "1 / sqrt(" + text_of(value) + ") (" + name + ")", 1.0 / std::sqrt(value));
}

void windows(std::vector<NamedNumber>& list, std::string_view key, double value, const Spec&) {
  const bool counts_layers = has_word(key, {"layer", "pattern"});
  if (has_word(key, {"window"}) && !counts_layers) {
    offer(list, text_of(value) + " (" + std::string(key) + ")", value);
  }
}

using Meaning = void (*)(std::vector<NamedNumber>& list, std::string_view key, double value,
                         const Spec& spec);

std::vector<NamedNumber> stated(const Spec& spec, Meaning meaning) {
  std::vector<NamedNumber> list;
  for (const auto& [key, value] : spec.stated) meaning(list, key, value, spec);
  return list;
}

std::vector<NamedNumber> with_usual(std::vector<NamedNumber> list,
                                    const std::vector<NamedNumber>& usual) {
  for (const NamedNumber& one : usual) offer(list, one.name, one.value);
  return list;
}

std::vector<NamedNumber> plain(std::initializer_list<double> values) {
  std::vector<NamedNumber> list;
  for (double value : values) list.push_back({text_of(value), value});
  return list;
}

// --- the spec's numbers ----------------------------------------------------------------------

using Number = double Spec::*;

Misreadings set(const std::string& knob, Number number, const std::vector<NamedNumber>& values) {
  Misreadings list;
  for (const NamedNumber& one : values) {
    list.push_back({knob, one.name,
                    [=](const Spec& s, const RowList&) { return differ(s.*number, one.value); },
                    [=](Spec& s, RowList&) { s.*number = one.value; }});
  }
  return list;
}

Misreadings set_score_scale(const std::vector<NamedNumber>& values) {
  Misreadings list;
  for (const NamedNumber& one : values) {
    list.push_back({"score scale", one.name,
                    [=](const Spec& s, const RowList&) {
                      return std::ranges::any_of(s.layers, [&](const LayerSpec& l) {
                        return differ(l.score_scale, one.value);
                      });
                    },
                    [=](Spec& s, RowList&) {
                      for (LayerSpec& l : s.layers) l.score_scale = one.value;
                    }});
  }
  return list;
}

std::vector<NamedNumber> usual_score_scales(const Spec& s) {
  const auto d = static_cast<double>(s.d_head);
  return {{"1", 1.0}, {"1 / sqrt(d_head)", 1.0 / std::sqrt(d)}, {"1 / d_head", 1.0 / d}};
}

}  // namespace

Misreadings number_misreadings(const Spec& spec) {
  const auto values = [&](Meaning meaning, std::initializer_list<double> usual) {
    return with_usual(stated(spec, meaning), plain(usual));
  };
  Misreadings list;
  for (const Misreadings& part :
       {set("score softcap", &Spec::score_softcap, values(score_caps, {50.0, 30.0})),
        set("logit softcap", &Spec::logit_softcap, values(logit_caps, {30.0, 50.0})),
        set("logit scale", &Spec::logit_scale, values(logit_scales, {0.0625, 0.125})),
        set("residual scale", &Spec::residual_scale, values(residual_scales, {0.22})),
        set("embedding scale", &Spec::embed_scale, values(embedding_scales, {12.0})),
        set_score_scale(with_usual(stated(spec, score_scales), usual_score_scales(spec))),
        window_misreadings(spec, values(windows, {128.0, 512.0, 1024.0, 2048.0}))}) {
    list.insert(list.end(), part.begin(), part.end());
  }
  return list;
}

}  // namespace lenswright
