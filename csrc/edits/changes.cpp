#include "edits/changes.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <functional>
#include <numeric>

#include "edits/targets.h"

namespace lenswright {
namespace {

void add(std::map<std::string, Change>& changes, const Base& base, const std::string& stored,
         Piece piece) {
  Change& change = changes[stored];
  TORCH_CHECK_VALUE(change.pieces.empty() || change.expected == base.sha256, "tensor '", stored,
                    "': parts of the edit were made for different ones");
  change.expected = base.sha256;
  change.pieces.push_back(std::move(piece));
}

void sort_pieces(const std::string& stored, std::vector<Piece>& pieces) {
  std::ranges::sort(pieces, std::less(), &Piece::slice);
  const auto same = std::ranges::adjacent_find(pieces, std::equal_to(), &Piece::slice);
  const bool both = pieces.size() > 1 && pieces.front().slice < 0;
  TORCH_CHECK_VALUE(same == pieces.end() && !both, "tensor '", stored,
                    "' is changed twice by the edit, expected once");
}

WriterSite named_site(const Part& part) {
  WriterSite site;
  site.name = part.writer;
  site.kind = WriterKind::tensor;
  site.weight = part.weight.name;
  site.residual_axis = part.place.residual_axis;
  site.slice = part.place.slice;
  site.outputs = part.place.outputs;
  site.inputs = part.place.inputs;
  return site;
}

}  // namespace

int64_t Piece::offset(Dtype dtype, const std::vector<int64_t>& shape) const {
  if (slice < 0) return 0;
  const int64_t numbers =
      std::accumulate(shape.begin() + 1, shape.end(), int64_t{1}, std::multiplies());
  return slice * numbers * element_bytes(dtype);
}

StoredMatrix Piece::matrix(Dtype dtype, const std::vector<int64_t>& shape,
                           const std::byte* data) const {
  const bool is_matrix = shape.size() == (slice < 0 ? 2 : 3);
  return {dtype, data + offset(dtype, shape), is_matrix ? shape[shape.size() - 2] : 1, shape.back(),
          residual_axis};
}

StoredMatrix Piece::matrix(const Quantised& source, const std::vector<int64_t>& shape) const {
  StoredMatrix matrix{kDequantised, nullptr, shape[shape.size() - 2], shape.back(), residual_axis};
  matrix.quantised = source.matrix(std::max<int64_t>(slice, 0));
  matrix.turned = source.turned;
  return matrix;
}

std::vector<Piece> Change::all_pieces(const std::vector<int64_t>& shape) const {
  if (shape.size() < 3) return pieces.empty() ? std::vector<Piece>{Piece{}} : pieces;
  std::vector<Piece> all(static_cast<size_t>(shape.front()));
  for (size_t slice = 0; slice < all.size(); ++slice)
    all[slice].slice = static_cast<int64_t>(slice);
  for (const Piece& piece : pieces) all[static_cast<size_t>(piece.slice)] = piece;
  return all;
}

void check_shift(const WriterSite& writer, const Factors& factors) {
  TORCH_CHECK_VALUE(!factors.shift.defined() || !writer.bias.empty(), "factor shift of '",
                    writer.name, "': this writer has no bias to shift");
}

std::map<std::string, Change> changes_of(const Edit& edit, const std::vector<WriterSite>& writers) {
  std::vector<WriterSite> all = writers;
  for (const Part& part : edit.parts()) {
    if (part.place.known()) all.push_back(named_site(part));
  }
  const WriterIndex index(all);
  std::map<std::string, Change> changes;
  OnceEach once;
  for (const Part& part : edit.parts()) {
    const WriterSite& writer = index.named(part.writer);
    part.factors.checked(part.writer, writer.outputs, writer.inputs, once);
    check_shift(writer, part.factors);
    add(changes, part.weight, writer.weight,
        {writer.slice, part.factors.spans(), writer.residual_axis});
    if (writer.bias.empty() || !part.factors.changes_bias()) continue;
    add(changes, part.bias, writer.bias, {writer.slice, part.factors.bias_spans(), 1});
  }
  for (auto& [stored, change] : changes) sort_pieces(stored, change.pieces);
  return changes;
}

}  // namespace lenswright
