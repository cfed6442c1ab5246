#include "spec/decoder.h"

#include <algorithm>

namespace lenswright {
namespace {

bool equal_tensors(const Checkpoint& checkpoint, const std::string& first,
                   const std::string& second) {
  const TensorInfo &a = checkpoint.info(first), &b = checkpoint.info(second);
  if (a.shape != b.shape || a.dtype != b.dtype) return false;
  const auto x = checkpoint.data(a), y = checkpoint.data(b);
  return std::equal(x.begin(), x.end(), y.begin(), y.end());
}

}  // namespace

Decoder decoder_of(const Json& config, const Catalog& tensors) {
  const Family& family = family_of(config);
  Decoder found{&family, spec_of(family, config), {}, {}};
  found.head = head_row(family, found.spec, tensors.contains);
  found.rows = rows_in(family, found.spec, tensors.contains, tensors.shape);
  const std::string& embedding = found.rows.front().source;
  const bool both = tensors.contains(embedding) && tensors.contains(found.head.source);
  if (found.spec.tied && both && !tensors.equal(embedding, found.head.source)) {
    found.spec.tied = false;
    found.rows = rows_in(family, found.spec, tensors.contains, tensors.shape);
  }
  return found;
}

Decoder decoder_of(const Checkpoint& checkpoint) {
  return decoder_of(checkpoint.config(),
                    {[&](const std::string& name) { return checkpoint.contains(name); },
                     [&](const std::string& name) { return checkpoint.info(name).shape; },
                     [&](const std::string& a, const std::string& b) {
                       return equal_tensors(checkpoint, a, b);
                     }});
}

}  // namespace lenswright
