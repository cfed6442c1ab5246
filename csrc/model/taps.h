#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <map>
#include <vector>

#include "spec/writers.h"

namespace lenswright {

/// Tokens taken out of a batch: the row that each came from, [tokens], of how many.
struct Gathered {
  at::Tensor rows;
  int64_t batch = 0;
};

/// Stands in for changed weights of a writer: what it read and what it wrote pass through here
/// before any tap sees them, so that to every tap the weights look changed.
///
/// Each may be empty. `after` is linear in (input, output) together, so that parts of what is
/// written may go through it one by one; its input is what the writer read, before `before`.
/// `shift` adds what depends on neither.
///
/// Tensors are [batch, pos, width]. Where rows of the batch are treated differently, `take` gives
/// the adapter of tokens that were gathered from it, as [tokens, 1, width]; where it is empty all
/// are alike, and tokens may lie in any shape.
struct Adapter {
  std::function<at::Tensor(at::Tensor input)> before;
  std::function<at::Tensor(const at::Tensor& input, at::Tensor output)> after;
  std::function<at::Tensor(at::Tensor output)> shift;
  std::function<Adapter(const Gathered& tokens)> take{};

  /// What is written, of what is read: `product` is the writer's own, bias included.
  at::Tensor around(const at::Tensor& input,
                    const std::function<at::Tensor(const at::Tensor&)>& product) const;
};

/// Whether a tensor came back from its writers as it went in, so that the run may take the path it
/// would have taken without them. Where gradients are kept the writers' path is theirs too.
class Unchanged {
 public:
  explicit Unchanged(const at::Tensor& tensor);
  bool operator()(const at::Tensor& after) const;

 private:
  at::Tensor tensor_;
  int64_t version_;
};

/// An ordered set of readers and writers on points: the only way to watch or change a run.
///
/// At one point they act in the order in which they were added. A reader must not change what it is
/// given; a writer returns the tensor the run goes on with.
class Taps {
 public:
  using Reader = std::function<void(const at::Tensor&)>;
  using Writer = std::function<at::Tensor(at::Tensor)>;

  void read(Point point, Reader reader);
  void write(Point point, Writer writer);
  void adapt(const WriterKey& writer, Adapter adapter);

  bool empty() const { return actions_.empty() && adapters_.empty(); }
  bool wants(Point point) const { return flag(point) != 0; }
  bool writes(Point point) const { return flag(point) & kWrites; }
  bool reads_only(Point point) const { return flag(point) == kReads; }

  /// The tensor after every tap at this point.
  at::Tensor visit(Point point, at::Tensor tensor) const;
  /// For points that are computed on demand: calls `make` only if someone is there.
  template <typename Make>
  void show(Point point, Make make) const {
    if (wants(point)) visit(point, make());
  }

  /// What stands in for the writer's weights, or nullptr.
  const Adapter* adapter(const WriterKey& writer) const;

  /// All points with a tap.
  std::vector<Point> points() const;

 private:
  static constexpr uint8_t kReads = 1, kWrites = 2;
  struct Action {
    Point point;
    Reader reader;
    Writer writer;
  };

  static size_t slot(Point point) {
    return static_cast<size_t>(point.layer + 1) * kSites + static_cast<size_t>(point.site);
  }
  uint8_t flag(Point point) const {
    const size_t index = slot(point);
    return index < flags_.size() ? flags_[index] : 0;
  }
  void raise(Point point, uint8_t bit);

  std::vector<uint8_t> flags_;
  std::vector<Action> actions_;
  std::map<WriterKey, Adapter> adapters_;
};

}  // namespace lenswright
