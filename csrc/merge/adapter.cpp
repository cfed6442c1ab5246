#include "merge/adapter.h"

#include <algorithm>
#include <deque>
#include <map>
#include <mutex>

#include "base/widen.h"
#include "io/open_file.h"
#include "merge/adapter_config.h"
#include "merge/adapter_tensors.h"
#include "merge/kernel.h"

namespace lenswright {
namespace {

constexpr size_t kKept = 8;  // weights whose factors stay in memory

/// Both factors of a pair in float64, B by rows of the weight and A by columns.
struct Factors {
  std::vector<double> left, right;  // [rows, r], [r, columns]
  int64_t rank = 0;
};

std::vector<double> transposed(const std::vector<double>& x, int64_t rows, int64_t cols) {
  std::vector<double> out(x.size());
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < cols; ++c)
      out[static_cast<size_t>(c * rows + r)] = x[static_cast<size_t>(r * cols + c)];
  }
  return out;
}

class AdaptedInput final : public Input {
 public:
  AdaptedInput(const std::string& name, std::shared_ptr<const Input> model,
               std::shared_ptr<const Input> adapter, std::vector<TensorInfo> tensors,
               std::map<std::string, AdapterPair> pairs,
               std::map<std::string, const TensorInfo*> replaced)
      : Input(name, std::move(tensors), model->config()),
        model_(std::move(model)),
        adapter_(std::move(adapter)),
        pairs_(std::move(pairs)),
        replaced_(std::move(replaced)) {}

  const Checkpoint* checkpoint() const override { return model_->checkpoint(); }

  std::vector<const Checkpoint*> checkpoints() const override {
    std::vector<const Checkpoint*> out = model_->checkpoints();
    out.push_back(adapter_->checkpoint());
    return out;
  }

  const Checkpoint* holder(const TensorInfo& tensor) const override {
    if (pairs_.contains(tensor.name)) return nullptr;
    if (replaced_.contains(tensor.name)) return adapter_->checkpoint();
    return model_->holder(*model_->find(tensor.name));
  }

  void expect(const TensorInfo& tensor) const override {
    if (!replaced_.contains(tensor.name)) model_->expect(*model_->find(tensor.name));
  }

  void forget(const TensorInfo& tensor) const override {
    if (!replaced_.contains(tensor.name)) model_->forget(*model_->find(tensor.name));
  }

  uint64_t held() const override {
    uint64_t largest = 0;
    for (const auto& [name, pair] : pairs_) {
      largest = std::max(
          largest,
          sizeof(double) * static_cast<uint64_t>((pair.a ? pair.a->numel() : 0) + pair.b->numel()));
    }
    return (kKept + 1) * 2 * largest;  // and as they were read
  }

  Dtype stored(const TensorInfo& tensor) const override {
    return replaced_.contains(tensor.name) ? tensor.dtype
                                           : model_->stored(*model_->find(tensor.name));
  }

  const std::byte* read(const TensorInfo& tensor, uint64_t offset, uint64_t size,
                        std::byte* room) const override {
    const auto replaced = replaced_.find(tensor.name);
    if (replaced != replaced_.end()) return adapter_->read(*replaced->second, offset, size, room);
    const TensorInfo& info = *model_->find(tensor.name);
    const auto pair = pairs_.find(tensor.name);
    if (pair == pairs_.end()) return model_->read(info, offset, size, room);
    const auto first = static_cast<int64_t>(offset / sizeof(double));
    const auto count = static_cast<int64_t>(size / sizeof(double));
    auto* const out = reinterpret_cast<double*>(room);
    const auto width = static_cast<uint64_t>(element_bytes(info.dtype));
    std::vector<std::byte> raw(static_cast<size_t>(count) * width);
    widen(info.dtype,
          model_->read(info, static_cast<uint64_t>(first) * width, raw.size(), raw.data()), count,
          out);
    if (pair->second.a == nullptr) {
      add_bias(pair->second, first, count, out);
    } else {
      add(pair->second, info, first, count, out);
    }
    return room;
  }

 private:
  void add_bias(const AdapterPair& pair, int64_t first, int64_t count, double* out) const {
    const TensorInfo& info = *pair.b;
    const auto width = static_cast<uint64_t>(element_bytes(info.dtype));
    std::vector<std::byte> raw(static_cast<size_t>(count) * width);
    std::vector<double> change(static_cast<size_t>(count));
    widen(info.dtype,
          adapter_->read(info, static_cast<uint64_t>(first) * width, raw.size(), raw.data()), count,
          change.data());
    add_scaled(pair.scale, change.data(), count, out);
  }

  void add(const AdapterPair& pair, const TensorInfo& info, int64_t first, int64_t count,
           double* out) const {
    const std::shared_ptr<const Factors> factors = factors_of(info.name, pair);
    const int64_t columns = info.shape.back(), rank = factors->rank;
    for (int64_t done = 0; done < count;) {
      const int64_t row = (first + done) / columns, column = (first + done) % columns;
      const int64_t n = std::min(count - done, columns - column);
      for (int64_t k = 0; k < rank; ++k) {
        add_scaled(pair.scale * factors->left[static_cast<size_t>(row * rank + k)],
                   factors->right.data() + k * columns + column, n, out + done);
      }
      done += n;
    }
  }

  // The last few are kept: a tensor is read piece by piece.
  std::shared_ptr<const Factors> factors_of(const std::string& name,
                                            const AdapterPair& pair) const {
    const std::lock_guard lock(mutex_);
    for (const auto& [known, factors] : kept_) {
      if (known == name) return factors;
    }
    auto made = std::make_shared<Factors>();
    const std::vector<double> a = all(*pair.a), b = all(*pair.b);
    made->rank = pair.a->shape.front();
    made->left = pair.transposed ? transposed(a, made->rank, pair.a->shape.back()) : b;
    made->right = pair.transposed ? transposed(b, pair.b->shape.front(), made->rank) : a;
    kept_.emplace_back(name, made);
    if (kept_.size() > kKept) kept_.pop_front();
    return made;
  }

  std::vector<double> all(const TensorInfo& info) const {
    std::vector<std::byte> raw(info.bytes());
    std::vector<double> out(static_cast<size_t>(info.numel()));
    widen(info.dtype, adapter_->read(info, 0, raw.size(), raw.data()), info.numel(), out.data());
    return out;
  }

  std::shared_ptr<const Input> model_, adapter_;
  std::map<std::string, AdapterPair> pairs_;
  std::map<std::string, const TensorInfo*> replaced_;
  mutable std::mutex mutex_;
  mutable std::deque<std::pair<std::string, std::shared_ptr<const Factors>>> kept_;
};

}  // namespace

std::shared_ptr<const Input> adapted_input(const std::string& name,
                                           std::shared_ptr<const Input> model,
                                           const std::filesystem::path& path) {
  const auto adapter = open_input(path.string(), path);
  const auto file = adapter->checkpoint()->folder() / "adapter_config.json";
  const AdapterConfig config(path.string(), Json::parse(read_text(file), "adapter_config.json"));
  AdapterTensors found(*model, *adapter, config);
  std::vector<TensorInfo> tensors = model->tensors();
  for (TensorInfo& tensor : tensors) {
    if (found.pairs.contains(tensor.name)) {  // as it is read, not as it is stored
      tensor.dtype = Dtype::f64;
      tensor.begin = 0;
      tensor.end = static_cast<uint64_t>(tensor.numel()) * sizeof(double);
    } else if (const auto it = found.replaced.find(tensor.name); it != found.replaced.end()) {
      tensor = *it->second;
      tensor.name = it->first;
    }
  }
  return std::make_shared<AdaptedInput>(name, std::move(model), adapter, std::move(tensors),
                                        std::move(found.pairs), std::move(found.replaced));
}

}  // namespace lenswright
