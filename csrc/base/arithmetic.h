#pragma once

#include <cstdint>
#include <vector>

namespace lenswright {

// The functions a network may be made of: said by `spec`, computed by `nn`.

enum class NormKind : uint8_t { layer, rms };

/// A norm: (x or x - mean) / scale · (gain + offset) + bias, where gain and bias may be absent.
struct Norm {
  NormKind kind = NormKind::rms;
  double eps = 1e-5;
  double offset = 0.0;     // added to the stored gain: 1 in Gemma and Nemotron
  bool wide_gain = false;  // of 16-bit types: the gain is applied before rounding, not after
};

/// Which two numbers make one rotated pair: (i, i + dim/2), or (2i, 2i + 1), whose results may also
/// be put apart, all firsts before all seconds.
enum class RopeLayout : uint8_t { half, adjacent, adjacent_apart };

/// How frequencies are stretched beyond the trained length. linear: Chen et al. 2023,
/// arXiv:2306.15595; dynamic: NTK-aware base by length; llama3: by wavelength, as Llama 3.1
/// published it; yarn: Peng et al. 2023, arXiv:2309.00071; longrope: Ding et al. 2024,
/// arXiv:2402.13753.
enum class RopeScaling : uint8_t { plain, linear, dynamic, llama3, yarn, longrope };

/// Rotary positions (Su et al. 2021, arXiv:2104.09864): which part of a head turns, and how fast.
struct Rope {
  double theta = 10000.0;
  int64_t dim = 0;    // numbers of a head that rotate; the rest pass through
  int64_t start = 0;  // the first of them
  RopeLayout layout = RopeLayout::half;

  RopeScaling scaling = RopeScaling::plain;
  double factor = 1.0;
  double attention_factor = 1.0;                         // multiplies cosines and sines
  int64_t original_ctx = 0;                              // the length before stretching
  double low_freq_factor = 1.0, high_freq_factor = 1.0;  // llama3
  double beta_fast = 32.0, beta_slow = 1.0;              // yarn
  bool truncate = true;                                  // yarn: its bounds are whole numbers
  std::vector<double> short_factors, long_factors;       // longrope, one for each pair
};

/// Attention with linear biases (Press et al. 2021, arXiv:2108.12409): slope · (key position -
/// origin) is added to the scores, the origin being 0 or the row's last position.
struct Alibi {
  std::vector<double> slopes;  // one for each head; empty: none
  bool from_end = false;
};

/// What stands between q·k and the pattern, in one layer.
struct AttentionRule {
  double scale = 1.0;
  double softcap = 0.0;  // scores become cap · tanh(score / cap); 0: they do not
  int64_t window = 0;    // a query sees this many keys, its own the last; 0: all before it
  int64_t chunk = 0;     // a query sees only keys of its own chunk of positions; 0: all
};

/// gelu_rounded is gelu_tanh with √(2/π) rounded to eight digits, 0.79788456.
enum class Activation : uint8_t {
  relu,
  relu2,
  gelu,
  gelu_tanh,
  gelu_rounded,
  gelu_quick,
  silu,
  xielu
};

/// How a mixture chooses experts from its router's logits.
///
/// softmax_first: softmax over all, then the best (Jiang et al. 2024, arXiv:2401.04088);
/// softmax_last: the best, then softmax over them; sigmoid: of each by itself, chosen with a
/// correction (DeepSeek-AI 2024, arXiv:2412.19437, eq. 12 to 16); sigmoid_input: as weights of the
/// expert's input (Llama 4); sparsemixer: Liu et al. 2023, arXiv:2310.00811, at inference.
enum class Router : uint8_t { softmax_first, softmax_last, sigmoid, sigmoid_input, sparsemixer };

struct Routing {
  Router router = Router::softmax_first;
  int64_t experts = 0;  // 0: no mixture
  int64_t chosen = 0;
  int64_t groups = 1;         // experts are chosen from the best of these
  int64_t chosen_groups = 1;  // how many
  bool group_by_two = false;  // a group counts as its two best experts, not its best; the scores of
                              // groups left out are then -inf, not 0
  bool renormalise = false;   // the chosen weights are divided by their sum
  double renormalise_eps = 0.0;  // added to that sum
  double renormalise_min = 0.0;  // its lower bound
  double scale = 1.0;            // of the chosen weights
  bool wide = false;             // of 16-bit types: its logits, too, are computed in float32
  double jitter = 0.0;           // sparsemixer's threshold
};

}  // namespace lenswright
