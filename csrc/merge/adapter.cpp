#include "merge/adapter.h"

#include <algorithm>
#include <deque>
#include <map>
#include <mutex>
#include <regex>
#include <stdexcept>

#include "base/error.h"
#include "base/widen.h"
#include "io/open_file.h"
#include "merge/adapter_config.h"
#include "merge/kernel.h"
#include "merge/names.h"
#include "merge/plan_config.h"
#include "merge/refuse.h"

namespace lenswright {
namespace {

constexpr size_t kKept = 8;  // weights whose factors stay in memory

/// The pair of one weight: W += scale · B A, or its transpose. Of a bias, b += scale · B, A is
/// null.
struct Pair {
  const TensorInfo *a = nullptr, *b = nullptr;
  double scale = 1;
  bool transposed = false;
};

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
               std::map<std::string, Pair> pairs, std::map<std::string, const TensorInfo*> replaced)
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
  void add_bias(const Pair& pair, int64_t first, int64_t count, double* out) const {
    const TensorInfo& info = *pair.b;
    const auto width = static_cast<uint64_t>(element_bytes(info.dtype));
    std::vector<std::byte> raw(static_cast<size_t>(count) * width);
    std::vector<double> change(static_cast<size_t>(count));
    widen(info.dtype,
          adapter_->read(info, static_cast<uint64_t>(first) * width, raw.size(), raw.data()), count,
          change.data());
    add_scaled(pair.scale, change.data(), count, out);
  }

  void add(const Pair& pair, const TensorInfo& info, int64_t first, int64_t count,
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
  std::shared_ptr<const Factors> factors_of(const std::string& name, const Pair& pair) const {
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
  std::map<std::string, Pair> pairs_;
  std::map<std::string, const TensorInfo*> replaced_;
  mutable std::mutex mutex_;
  mutable std::deque<std::pair<std::string, std::shared_ptr<const Factors>>> kept_;
};

/// Sorts the tensors of an adapter by what they do to the model.
class Reader {
 public:
  Reader(const Input& model, const Input& adapter, const AdapterConfig& config)
      : model_(model), adapter_(adapter), config_(config) {
    for (const TensorInfo& tensor : adapter.tensors()) read(tensor);
    for (auto& [target, pair] : pairs) check(target, pair);
    for (const TensorInfo* head : tied_heads_) check_tied(*head);
  }

  std::map<std::string, Pair> pairs;
  std::map<std::string, const TensorInfo*> replaced;

 private:
  void read(const TensorInfo& tensor) {
    static const std::regex kFactor(
        R"((.*)\.(lora_A|lora_B|lora_embedding_A|lora_embedding_B)(\.default)?(\.weight)?)");
    std::string name = tensor.name;
    if (name.starts_with("base_model.model.")) name = name.substr(17);
    std::smatch match;
    static const std::regex kBias(R"((.*)\.lora_B(\.default)?\.bias)");
    if (std::regex_match(name, match, kBias)) {
      pairs[known(match[1].str() + ".bias", tensor)].b = &tensor;
      return;
    }
    if (std::regex_match(name, match, kFactor)) {
      const std::string target = known(match[1].str() + ".weight", tensor);
      Pair& pair = pairs[target];
      const std::string factor = match[2].str();
      (factor.ends_with('A') ? pair.a : pair.b) = &tensor;
      pair.transposed = factor.find("embedding") != std::string::npos;
      return;
    }
    static const std::regex kSaved(R"(\.modules_to_save(\.default)?)");
    const std::string saved = std::regex_replace(name, kSaved, "");
    if (model_.find(saved) == nullptr && is_head(saved) && ties_embeddings(model_.config())) {
      tied_heads_.push_back(&tensor);
      return;
    }
    const std::string target = known(saved, tensor);
    if (model_.find(target)->shape != tensor.shape) {
      refuse_adapter(adapter_.name(), "tensor " + in_quotes(tensor.name) +
                                          " is of another shape than " + in_quotes(target) +
                                          " of the model");
    }
    replaced[target] = &tensor;
  }

  std::string known(const std::string& name, const TensorInfo& tensor) const {
    if (model_.find(name) != nullptr) return name;
    std::vector<std::string> names;
    for (const TensorInfo& one : model_.tensors()) names.push_back(one.name);
    refuse_adapter(adapter_.name(), "tensor " + in_quotes(tensor.name) + " is for " +
                                        in_quotes(name) + ", which the model lacks" +
                                        did_you_mean(name, names));
  }

  // PEFT saves a head that is tied to the embedding beside it: the same bytes.
  void check_tied(const TensorInfo& head) const {
    const auto bytes = [&](const TensorInfo& tensor) {
      std::vector<std::byte> room(tensor.bytes());
      const std::byte* from = adapter_.read(tensor, 0, room.size(), room.data());
      return std::vector<std::byte>(from, from + room.size());
    };
    for (const auto& [target, tensor] : replaced) {
      if (is_token_embedding(target) && bytes(*tensor) == bytes(head)) return;
    }
    refuse_adapter(adapter_.name(), "tensor " + in_quotes(head.name) +
                                        " differs from the embedding, which the model ties it to");
  }

  // The rank that a bias is scaled by is that of its module's weight.
  void check_bias(const std::string& target, Pair& pair) const {
    const std::string module = target.substr(0, target.size() - 5);
    const auto weight = pairs.find(module + ".weight");
    if (weight == pairs.end() || weight->second.a == nullptr ||
        pair.b->shape != model_.find(target)->shape) {
      refuse_adapter(adapter_.name(),
                     "tensor " + in_quotes(pair.b->name) + " fits no bias of the model");
    }
    pair.scale = config_.scale(module, weight->second.a->shape.front());
  }

  void check(const std::string& target, Pair& pair) const {
    if (target.ends_with(".bias")) return check_bias(target, pair);
    if (pair.a == nullptr || pair.b == nullptr) {
      refuse_adapter(adapter_.name(), "only one factor for " + in_quotes(target));
    }
    pair.transposed = pair.transposed || config_.flag("fan_in_fan_out");
    const auto &a = pair.a->shape, &b = pair.b->shape, &w = model_.find(target)->shape;
    const bool fits = a.size() == 2 && b.size() == 2 && w.size() == 2 && a[0] == b[1] &&
                      w[pair.transposed ? 0 : 1] == a[1] && w[pair.transposed ? 1 : 0] == b[0];
    if (!fits)
      refuse_adapter(adapter_.name(),
                     "the factors for " + in_quotes(target) + " do not fit its shape");
    pair.scale = config_.scale(target.substr(0, target.size() - 7), a[0]);
  }

  const Input& model_;
  const Input& adapter_;
  const AdapterConfig& config_;
  std::vector<const TensorInfo*> tied_heads_;
};

}  // namespace

std::shared_ptr<const Input> adapted_input(const std::string& name,
                                           std::shared_ptr<const Input> model,
                                           const std::filesystem::path& path) {
  const auto adapter = open_input(path.string(), path);
  const auto file = adapter->checkpoint()->folder() / "adapter_config.json";
  const AdapterConfig config(path.string(), Json::parse(read_text(file), "adapter_config.json"));
  Reader reader(*model, *adapter, config);
  std::vector<TensorInfo> tensors = model->tensors();
  for (TensorInfo& tensor : tensors) {
    if (reader.pairs.contains(tensor.name)) {  // as it is read, not as it is stored
      tensor.dtype = Dtype::f64;
      tensor.begin = 0;
      tensor.end = static_cast<uint64_t>(tensor.numel()) * sizeof(double);
    } else if (const auto it = reader.replaced.find(tensor.name); it != reader.replaced.end()) {
      tensor = *it->second;
      tensor.name = it->first;
    }
  }
  return std::make_shared<AdaptedInput>(name, std::move(model), adapter, std::move(tensors),
                                        std::move(reader.pairs), std::move(reader.replaced));
}

}  // namespace lenswright
