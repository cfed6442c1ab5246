#pragma once

#include <string>
#include <vector>

#include "spec/family.h"

namespace lenswright {

/// A model that also sees, around a decoder that reads text: the decoder's config.json is its
/// text_config, and all tensors that are not the decoder's are carried along.
struct Tower {
  std::string architecture, model_type;
  std::vector<std::string> ignored;     // globs of the other tensors
  std::vector<std::string> harmless{};  // keys beside text_config, of no matter to text
  bool tied = false;                    // where tie_word_embeddings is absent
  bool tied_by_text = false;            // text_config may say so, too
  bool may_be_flat = false;             // early configs keep the decoder's keys beside the others
};

/// The family of that model over this decoder, whose names are those of a decoder alone.
Family tower_over(const Tower& tower, const Family& decoder);

}  // namespace lenswright
