// How far a layer sees.
#include <algorithm>
#include <array>

#include "spec/misreadings/lists.h"

namespace lenswright {
namespace {

int64_t widest(const Spec& s, int64_t LayerSpec::*sight) {
  int64_t most = 0;
  for (const LayerSpec& l : s.layers) most = std::max(most, l.*sight);
  return most;
}

bool windows_differ(const Spec& s) {
  const int64_t most = widest(s, &LayerSpec::window);
  return std::ranges::any_of(s.layers, [&](const LayerSpec& l) { return l.window != most; });
}

Misreading window(std::string value, int64_t least, int64_t by) {
  return {"window", std::move(value),
          [least](const Spec& s, const RowList&) { return widest(s, &LayerSpec::window) >= least; },
          [by](Spec& s, RowList&) {
            for (LayerSpec& l : s.layers) {
              if (l.window > 0) l.window += by;
            }
          }};
}

}  // namespace

Misreadings window_misreadings() {
  const auto some = [](const Spec& s, const RowList&) {
    return widest(s, &LayerSpec::window) > 0 && windows_differ(s);
  };
  return {
      {"window", "none",
       [](const Spec& s, const RowList&) { return widest(s, &LayerSpec::window) > 0; },
       [](Spec& s, RowList&) {
         for (LayerSpec& l : s.layers) l.window = 0;
       }},
      window("one more", 1, 1),
      window("one less", 2, -1),
      {"window by layer", "in the other layers", some,
       [](Spec& s, RowList&) {
         const int64_t most = widest(s, &LayerSpec::window);
         for (LayerSpec& l : s.layers) l.window = l.window > 0 ? 0 : most;
       }},
      {"window by layer", "in every layer", some,
       [](Spec& s, RowList&) {
         const int64_t most = widest(s, &LayerSpec::window);
         for (LayerSpec& l : s.layers) l.window = most;
       }},
      {"chunks", "none",
       [](const Spec& s, const RowList&) { return widest(s, &LayerSpec::chunk) > 0; },
       [](Spec& s, RowList&) {
         for (LayerSpec& l : s.layers) l.chunk = 0;
       }},
  };
}

namespace {

/// Which layers a window is put into.
struct Place {
  const char* name;
  bool (*has)(int64_t layer, int64_t every);
};

constexpr std::array kPlaces = {
    Place{"in every layer", [](int64_t, int64_t) { return true; }},
    Place{"in even layers", [](int64_t layer, int64_t) { return layer % 2 == 0; }},
    Place{"in odd layers", [](int64_t layer, int64_t) { return layer % 2 == 1; }},
    Place{"but in every n-th layer",
          [](int64_t layer, int64_t every) { return (layer + 1) % every != 0; }},
};

// config.json: every how many layers one sees everything; 0: it does not say.
int64_t full_layers_every(const Spec& spec) {
  for (const auto& [key, value] : spec.stated) {
    if (key.find("pattern") != std::string::npos && value >= 2) return std::lround(value);
  }
  return 0;
}

// Where no layer has one; a layer that is there all alone is like every layer.
Misreading missed(const NamedNumber& window, const Place& place, int64_t every) {
  const auto size = static_cast<int64_t>(window.value);
  return {"window", window.name + " " + place.name,
          [size](const Spec& s, const RowList&) {
            return widest(s, &LayerSpec::window) == 0 && size < s.n_ctx;
          },
          [=](Spec& s, RowList&) {
            for (int64_t layer = 0; layer < s.n_layers; ++layer) {
              if (place.has(layer, every)) s.layers[static_cast<size_t>(layer)].window = size;
            }
          }};
}

Misreading other(const NamedNumber& window) {
  const auto size = static_cast<int64_t>(window.value);
  return {"window", window.name,
          [size](const Spec& s, const RowList&) {
            const int64_t most = widest(s, &LayerSpec::window);
            return most > 0 && most != size;
          },
          [size](Spec& s, RowList&) {
            for (LayerSpec& l : s.layers) {
              if (l.window > 0) l.window = size;
            }
          }};
}

}  // namespace

Misreadings window_misreadings(const Spec& spec, const std::vector<NamedNumber>& windows) {
  const int64_t every = full_layers_every(spec);
  Misreadings list;
  for (const NamedNumber& window : windows) {
    if (window.value < 1.0 || window.value != std::floor(window.value)) continue;
    list.push_back(other(window));
    for (const Place& place : kPlaces) {
      const bool nth = &place == &kPlaces.back();
      if (nth ? every == 0 : spec.n_layers == 1 && &place != &kPlaces.front()) continue;
      list.push_back(missed(window, place, every));
    }
  }
  return list;
}

}  // namespace lenswright
