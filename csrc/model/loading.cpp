#include <ATen/ATen.h>

#include <algorithm>
#include <optional>
#include <set>

#include "base/error.h"
#include "base/glob.h"
#include "model/model.h"
#include "model/tensors.h"
#include "spec/family.h"

namespace lenswright {
namespace {

std::string shape_text(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (int64_t size : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(size);
  return text + "]";
}

[[noreturn]] void refuse(const TensorInfo& info, const std::string& what) {
  throw CheckpointError(Flaw::layout, info.file, what, info.name, info.begin);
}

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (size_t i = 0; i < std::min<size_t>(names.size(), 5); ++i) {
    text += (i ? ", '" : "'") + names[i] + "'";
  }
  if (names.size() > 5) text += " and " + std::to_string(names.size() - 5) + " more";
  return text;
}

at::ScalarType computing_type(const std::string& asked, at::ScalarType stored, at::Device device) {
  static const std::vector<std::pair<std::string, at::ScalarType>> known = {
      {"float64", at::kDouble},
      {"float32", at::kFloat},
      {"bfloat16", at::kBFloat16},
      {"float16", at::kHalf}};
  std::vector<std::string> names = {"auto"};
  for (const auto& [name, type] : known) {
    if (name == asked) return type;
    names.push_back(name);
  }
  TORCH_CHECK_VALUE(asked == "auto", "dtype is '", asked, "', expected one of ", listed(names),
                    did_you_mean(asked, names));
  const bool half = stored == at::kBFloat16 || stored == at::kHalf;
  return half && device.is_cpu() ? at::kFloat : stored;  // CPUs lack fast 16-bit arithmetic
}

}  // namespace

class Loader {
 public:
  Loader(std::shared_ptr<Checkpoint> checkpoint, const LoadOptions& options)
      : options_(options), family_(family_of(checkpoint->config())) {
    m_->checkpoint_ = std::move(checkpoint);
    m_->device_ = at::Device(options.device);
    read_spec();
  }

  std::shared_ptr<Model> load() {
    for (const Row& row : m_->rows_) take(row);
    account();
    build();
    m_->dtype_ = computing_type(options_.dtype, *widest_, m_->device_);
    m_->writers_ = lenswright::writers(m_->spec_, m_->rows_);
    return std::move(m_);
  }

 private:
  void read_spec() {
    m_->spec_ = family_.read(m_->checkpoint_->config());
    const auto& unknown = m_->spec_.unknown_keys;
    TORCH_CHECK_VALUE(!options_.strict || unknown.empty(), "config.json: keys ", listed(unknown),
                      " are not known to family ", m_->spec_.family,
                      "; expected none of them under strict=True");
    const Checkpoint& checkpoint = *m_->checkpoint_;
    m_->rows_ = rows_in(family_, m_->spec_,
                        [&](const std::string& name) { return checkpoint.contains(name); });
  }

  void take(const Row& row) {
    const Checkpoint& checkpoint = *m_->checkpoint_;
    if (!checkpoint.contains(row.source)) {
      throw CheckpointError(Flaw::layout, checkpoint.shards().front(),
                            "the tensor is missing, but config.json of family " + m_->spec_.family +
                                " asks for it" + did_you_mean(row.source, checkpoint.names()),
                            row.source);
    }
    const TensorInfo& info = checkpoint.info(row.source);
    if (info.shape != row.stored_shape()) {
      refuse(info, "shape " + shape_text(info.shape) + ", config.json asks for " +
                       shape_text(row.stored_shape()));
    }
    auto& stored = m_->stored_[row.source];
    if (!stored) {
      const at::Tensor value = mapped_tensor(checkpoint, info).to(m_->device_);
      if (!at::isFloatingType(value.scalar_type())) {
        refuse(info,
               "type " + std::string(wire_name(info.dtype)) + ", expected F64, F32, BF16 or F16");
      }
      widest_ = widest_ ? at::promote_types(*widest_, value.scalar_type()) : value.scalar_type();
      stored = std::make_shared<Stored>(Stored{info.name, value, value});
    }
    m_->weights_[row.canonical] = Weight(stored, row);
  }

  // Nothing is silent: a tensor nobody asked for is an error, unless the family says it holds none.
  void account() {
    std::vector<std::string> left;
    for (const TensorInfo& info : m_->checkpoint_->tensors()) {
      if (m_->stored_.contains(info.name) || is_copy_of_embedding(info)) continue;
      const bool ignored = std::any_of(family_.ignored.begin(), family_.ignored.end(),
                                       [&](const auto& g) { return Glob(g).matches(info.name); });
      if (!ignored) left.push_back(info.name);
    }
    TORCH_CHECK_VALUE(left.empty(), "the checkpoint has tensors that family ", m_->spec_.family,
                      " does not account for: ", listed(left));
  }

  // A tied checkpoint may store the head again; it must then be the embedding.
  bool is_copy_of_embedding(const TensorInfo& info) const {
    if (!m_->spec_.tied || info.name != head_row(family_, m_->spec_).source) return false;
    const TensorInfo& embedding = m_->checkpoint_->info(m_->rows_.front().source);
    const auto a = m_->checkpoint_->data(info), b = m_->checkpoint_->data(embedding);
    if (info.shape == embedding.shape && std::equal(a.begin(), a.end(), b.begin(), b.end()))
      return true;
    refuse(info, "differs from '" + embedding.name + "' though tie_word_embeddings is true");
  }

  Weight weight(const std::string& name) const {
    const auto found = m_->weights_.find(name);
    return found == m_->weights_.end() ? Weight() : found->second;
  }
  Linear linear(const std::string& prefix, const std::string& part) const {
    return {weight(prefix + "W_" + part), weight(prefix + "b_" + part)};
  }

  void build() {
    const Spec& spec = m_->spec_;
    for (int64_t layer = 0; layer < spec.n_layers; ++layer) {
      const std::string at = "blocks." + std::to_string(layer) + ".";
      LayerWeights w;
      w.ln1 = {weight(at + "ln1.w"), weight(at + "ln1.b")};
      w.ln2 = {weight(at + "ln2.w"), weight(at + "ln2.b")};
      const std::string attn = at + "attn.", mlp = at + "mlp.";
      w.qkv = Projections({linear(attn, "Q"), linear(attn, "K"), linear(attn, "V")});
      w.attn_out = linear(attn, "O");
      std::vector<Linear> in = {linear(mlp, "in")};
      if (spec.gated) in.push_back(linear(mlp, "gate"));
      w.mlp_in = Projections(std::move(in));
      w.mlp_out = linear(mlp, "out");
      m_->layers_.push_back(std::move(w));
    }
    m_->ln_final_ = {weight("ln_final.w"), weight("ln_final.b")};
    m_->embed_ = {weight("embed.W_E"), {}};
    m_->pos_embed_ = {weight("pos_embed.W_pos"), {}};
    m_->head_ = head_row(family_, m_->spec_);
    m_->unembed_ = {weight(spec.tied ? "embed.W_E" : "unembed.W_U"), weight("unembed.b_U")};
  }

  LoadOptions options_;
  const Family& family_;
  std::shared_ptr<Model> m_{new Model()};
  std::optional<at::ScalarType> widest_;
};

std::shared_ptr<Model> Model::load(std::shared_ptr<Checkpoint> checkpoint,
                                   const LoadOptions& options) {
  return Loader(std::move(checkpoint), options).load();
}

void Model::untie(bool on) {
  TORCH_CHECK_VALUE(spec_.tied, "the model's embeddings are not tied");
  if (!on) {
    stored_.erase(head_.source);
    weights_.erase(head_.canonical);
    rows_.pop_back();
    unembed_.weight = weight("embed.W_E");
    return;
  }
  const at::Tensor value = weight("embed.W_E").stored()->original;
  const auto stored = std::make_shared<Stored>(Stored{head_.source, value, value});
  stored_[head_.source] = stored;
  rows_.push_back(head_);
  weights_[head_.canonical] = unembed_.weight = Weight(stored, head_);
}

}  // namespace lenswright
