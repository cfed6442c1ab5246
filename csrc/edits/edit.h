#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "edits/factors.h"
#include "io/json.h"
#include "spec/writers.h"

namespace lenswright {

/// A stored tensor an edit was made for.
struct Base {
  std::string name;    // in the checkpoint; "" where there is none
  std::string sha256;  // of its stored bytes; "" where nobody looked
};

/// Where a tensor that is known by its name only has a matrix.
struct NamedPlace {
  int residual_axis = -1;  // -1: the part is of a model's writer, which knows
  int64_t slice = -1;      // of a tensor that holds several
  int64_t outputs = 0, inputs = 0;

  bool known() const { return residual_axis >= 0; }
};

/// What an edit does to one writer.
struct Part {
  std::string writer;  // canonical: "blocks.3.attn.W_O"
  WriterKey key;
  Factors factors;
  Base weight, bias;
  bool unties = false;  // the unembedding, which shares its tensor, gets one of its own
  std::string note{};   // what else there is to say, for people
  NamedPlace place{};
};

/// A writer that an edit leaves alone, and why.
struct Untouched {
  std::string writer;
  WriterKind kind{};
  std::string reason;
};

/// A change of the weights that write to the residual stream, as a value: it can be tried in a run,
/// applied to a model and taken back, committed to a checkpoint, saved and loaded. Immutable.
class Edit {
 public:
  /// Parts must fit each other (one for each writer, equal numbers of rows); ValueError otherwise.
  Edit(std::vector<Part> parts, std::vector<Untouched> untouched, Json provenance);

  const std::vector<Part>& parts() const { return parts_; }
  const std::vector<Untouched>& untouched() const { return untouched_; }
  /// Factors of part `index` for runs of any type.
  const std::shared_ptr<CastFactors>& cast(size_t index) const { return casts_[index]; }
  /// How it was made: method, its parameters, what they came from.
  const Json& provenance() const { return provenance_; }

  /// How many rows of a batch carry edits of their own; 0: one edit for all.
  int64_t rows() const { return rows_; }
  /// The edit of one row, or of these rows in this order (repeating is allowed).
  Edit row(int64_t index) const;
  Edit take(const std::vector<int64_t>& rows) const;
  /// Throws ValueError, naming `action`, where rows carry edits of their own.
  void check_single(const char* action) const;

  /// SHA-256 over writers and factors: equal for edits that do the same.
  std::string id() const;

  /// What happens to a writer, for people: "removes 1 direction, biases included".
  static std::string action(const Part& part);

  void save(const std::filesystem::path& path) const;
  static std::shared_ptr<Edit> load(const std::filesystem::path& path);

 private:
  std::vector<Part> parts_;
  std::vector<Untouched> untouched_;
  Json provenance_;
  int64_t rows_ = 0;
  std::vector<std::shared_ptr<CastFactors>> casts_;
};

}  // namespace lenswright
