#pragma once

#include "edits/factors.h"

namespace lenswright {

// Arithmetic of what edits do to one writer, W' = S (I - U Vᵀ) W C + A Bᵀ. Each throws ValueError
// naming `writer` where the result has no such form.

/// W + t (W' - W).
Factors scaled(const Factors& factors, double t, const std::string& writer);

/// W + (W' - W) + (W'' - W).
Factors sum(const Factors& first, const Factors& second, const std::string& writer);

/// `then` on what `first` made.
Factors composed(const Factors& first, const Factors& then, const std::string& writer);

/// What takes W' back to W. ValueError where a direction is gone, which nothing can bring back.
Factors inverse(const Factors& factors, const std::string& writer);

}  // namespace lenswright
