#include "edits/edit.h"

#include <ATen/ATen.h>

#include <map>
#include <set>
#include <sstream>

#include "base/sha256.h"

namespace lenswright {
namespace {

void hash_text(Sha256& sha, const std::string& text) {
  const uint64_t size = text.size();
  sha.update(std::as_bytes(std::span(&size, 1)));
  sha.update(std::as_bytes(std::span(text)));
}

void hash_tensor(Sha256& sha, const at::Tensor& tensor) {
  const auto sizes = tensor.sizes();
  sha.update(std::as_bytes(std::span(sizes.data(), sizes.size())));
  sha.update({static_cast<const std::byte*>(tensor.const_data_ptr()), tensor.nbytes()});
}

std::string counted(int64_t count, const std::string& noun) {
  return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

std::string shortened(double number) {
  std::ostringstream text;
  text << number;
  return text.str();
}

}  // namespace

Edit::Edit(std::vector<Part> parts, std::vector<Untouched> untouched, Json provenance)
    : parts_(std::move(parts)),
      untouched_(std::move(untouched)),
      provenance_(std::move(provenance)) {
  std::set<std::string> seen;
  std::map<std::array<const void*, 7>, std::shared_ptr<CastFactors>> casts;
  for (const Part& part : parts_) {
    TORCH_CHECK_VALUE(seen.insert(part.writer).second, "writer '", part.writer,
                      "' appears twice, expected one set of factors each");
    const int64_t rows = part.factors.rows();
    TORCH_CHECK_VALUE(rows == 0 || rows_ == 0 || rows == rows_, "writer '", part.writer, "' has ",
                      rows, " rows, but another has ", rows_);
    rows_ = std::max(rows_, rows);
    auto& cast = casts[part.factors.identity()];
    if (!cast) cast = std::make_shared<CastFactors>(part.factors);
    casts_.push_back(cast);
  }
}

void Edit::check_single(const char* action) const {
  TORCH_CHECK_VALUE(rows_ == 0, "the edit is ", rows_,
                    " edits, one for each row of a batch, which ", action,
                    " cannot do; expected edit.row(i)");
}

Edit Edit::row(int64_t index) const {
  TORCH_CHECK_INDEX(index >= 0 && index < rows_, "row is ", index, ", expected 0 to ", rows_ - 1);
  std::vector<Part> parts = parts_;
  OnceEach once;
  for (Part& part : parts) part.factors = part.factors.row(index, once);
  Json provenance = provenance_;
  if (provenance.is_object()) provenance.set("row", index);
  return {std::move(parts), untouched_, std::move(provenance)};
}

Edit Edit::take(const std::vector<int64_t>& rows) const {
  for (int64_t row : rows) {
    TORCH_CHECK_INDEX(row >= 0 && row < rows_, "row is ", row, ", expected 0 to ", rows_ - 1);
  }
  TORCH_CHECK_VALUE(!rows.empty(), "rows is empty, expected at least one");
  const at::Tensor index = at::tensor(rows, at::kLong);
  std::vector<Part> parts = parts_;
  OnceEach once;
  for (Part& part : parts) part.factors = part.factors.take(index, once);
  return {std::move(parts), untouched_, provenance_};
}

std::string Edit::id() const {
  Sha256 sha;
  for (const Part& part : parts_) {
    hash_text(sha, part.writer);
    for (const FactorSlot& slot : kFactorSlots) {
      const at::Tensor& tensor = part.factors.*slot.tensor;
      hash_text(sha, tensor.defined() ? slot.name : "");
      if (tensor.defined()) hash_tensor(sha, tensor);
    }
  }
  return sha.hex();
}

std::string Edit::action(const Part& part) {
  const Factors& f = part.factors;
  std::string text;
  const auto add = [&](const std::string& words) { text += (text.empty() ? "" : ", ") + words; };
  if (f.u.defined()) {
    const std::string directions = counted(f.u.size(-2), "direction");
    const bool one = f.u.numel() == f.u.size(-1) && f.v.numel() == f.v.size(-1);
    const double strength = one ? (f.u.flatten() * f.v.flatten()).sum().item<double>() : 1.0;
    if (strength < 0) {
      add("strengthens " + directions + " (by " + shortened(-strength) + ")");
    } else {
      add("removes " + directions + (one ? " (strength " + shortened(strength) + ")" : ""));
    }
  }
  if (f.s.defined()) add("scales outputs");
  if (f.c.defined()) add("scales inputs");
  if (f.a.defined()) add("adds a matrix of rank " + std::to_string(f.a.size(-2)));
  if (f.shift.defined()) add("shifts the bias");
  if (text.empty()) return "nothing";
  if (!part.bias.name.empty()) text += ", bias included";
  if (!part.note.empty()) text += ", " + part.note;
  if (part.unties) text += ", unembedding untied and kept";
  if (f.rows() > 0) text = counted(f.rows(), "row") + ", each: " + text;
  return text;
}

}  // namespace lenswright
