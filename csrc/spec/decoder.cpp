#include "spec/decoder.h"

#include <algorithm>
#include <stdexcept>

#include "base/glob.h"

namespace lenswright {
namespace {

bool equal_tensors(const Checkpoint& checkpoint, const std::string& first,
                   const std::string& second) {
  const TensorInfo &a = checkpoint.info(first), &b = checkpoint.info(second);
  if (a.shape != b.shape || a.dtype != b.dtype) return false;
  const auto x = checkpoint.data(a), y = checkpoint.data(b);
  return std::equal(x.begin(), x.end(), y.begin(), y.end());
}

// Rows of a grid that begins anew are rows of gates and of ups: nobody says how it would be where
// those are columns.
void check_halves(const Decoder& decoder) {
  for (const Row& row : decoder.rows) {
    const QuantisedTensor* tensor = decoder.quantised.find(row.source);
    if (!tensor || tensor->grid.half == 0 || row.layout == Layout::out_in) continue;
    throw std::invalid_argument("tensor '" + tensor->scales +
                                "': scales of blocks that do not "
                                "divide experts which lie [inputs, outputs] are not read");
  }
}

}  // namespace

Decoder decoder_of(const Json& config, const Catalog& tensors) {
  const Family& family = family_of(config);
  Decoder found{&family, spec_of(family, config), {}, {}, quantised_tensors(config, tensors)};
  const auto contains = [&](const std::string& name) {
    return found.quantised.find(name) || tensors.contains(name);
  };
  const auto shape = [&](const std::string& name) {
    const QuantisedTensor* quantised = found.quantised.find(name);
    return quantised ? quantised->shape : tensors.shape(name);
  };
  found.head = head_row(family, found.spec, contains);
  found.rows = rows_in(family, found.spec, contains, shape);
  const std::string& embedding = found.rows.front().source;
  const bool both = tensors.contains(embedding) && tensors.contains(found.head.source);
  if (found.spec.tied && both && !tensors.equal(embedding, found.head.source)) {
    found.spec.tied = false;
    found.rows = rows_in(family, found.spec, contains, shape);
  }
  check_halves(found);
  return found;
}

Decoder decoder_of(const Checkpoint& checkpoint) {
  return decoder_of(checkpoint.config(), catalog_of(checkpoint));
}

bool beyond_decoder(const Family& family, const Spec& spec, const std::string& tensor) {
  const auto matches = [&](const std::string& glob) { return Glob(glob).matches(tensor); };
  return std::ranges::any_of(family.ignored, matches) || std::ranges::any_of(spec.unread, matches);
}

Catalog catalog_of(const Checkpoint& checkpoint) {
  return {
      [&](const std::string& name) { return checkpoint.contains(name); },
      [&](const std::string& name) { return checkpoint.info(name).shape; },
      [&](const std::string& a, const std::string& b) { return equal_tensors(checkpoint, a, b); },
      [&](const std::string& name) { return checkpoint.info(name).dtype; },
      [&] { return checkpoint.names(); }};
}

}  // namespace lenswright
