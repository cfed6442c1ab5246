#include <ATen/ATen.h>

#include <algorithm>
#include <optional>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "model/layer_weights.h"
#include "model/model.h"
#include "model/quantised_view.h"
#include "model/source.h"
#include "model/tensors.h"
#include "nn/sinusoids.h"
#include "spec/decoder.h"
#include "spec/misreadings.h"

namespace lenswright {
namespace {

constexpr size_t kShown = 5;  // names of a message

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
  TORCH_CHECK_VALUE(asked == "auto", "dtype is '", asked, "', expected one of ",
                    listed_in_quotes(names, kShown), did_you_mean(asked, names));
  const bool half = stored == at::kBFloat16 || stored == at::kHalf;
  return half && device.is_cpu() ? at::kFloat : stored;  // CPUs lack fast 16-bit arithmetic
}

}  // namespace

class Loader {
 public:
  Loader(std::unique_ptr<Source> source, const LoadOptions& options)
      : options_(options), source_(std::move(source)) {
    m_->device_ = at::Device(options.device);
    read_spec();
  }

  std::shared_ptr<Model> load() {
    for (const Row& row : m_->rows_) take(row);
    account();
    m_->assemble();
    m_->dtype_ = computing_type(options_.dtype, widest_.value_or(at::kBFloat16), m_->device_);
    m_->writers_ = lenswright::writers(m_->spec_, m_->rows_);
    return std::move(m_);
  }

 private:
  void read_spec() {
    Decoder decoder = source_->decoder();
    family_ = decoder.family;
    m_->spec_ = std::move(decoder.spec);
    m_->rows_ = std::move(decoder.rows);
    m_->head_ = std::move(decoder.head);
    m_->quantised_ = std::move(decoder.quantised);
    const auto& unknown = m_->spec_.unknown_keys;
    TORCH_CHECK_VALUE(!options_.strict || unknown.empty(), "config.json: keys ",
                      listed_in_quotes(unknown, kShown), " are not known to family ",
                      m_->spec_.family, "; expected none of them under strict=True");
  }

  void take(const Row& row) {
    auto& stored = m_->stored_[row.source];
    if (!stored) {
      const QuantisedTensor* quantised = m_->quantised_.find(row.source);
      stored = quantised ? take_quantised(row, *quantised) : take_plain(row);
    }
    if (stored->shape != row.stored_shape()) {
      source_->refuse(row.source, "shape " + shape_text(stored->shape) + ", config.json asks for " +
                                      shape_text(row.stored_shape()));
    }
    m_->weights_[row.canonical] = Weight(stored, row);
  }

  std::shared_ptr<Stored> take_plain(const Row& row) {
    if (!source_->contains(row.source)) {
      source_->refuse(row.source, "the tensor is missing, but config.json of family " +
                                      m_->spec_.family + " asks for it" +
                                      did_you_mean(row.source, source_->names()));
    }
    const at::Tensor value = source_->tensor(row.source).to(m_->device_);
    if (!at::isFloatingType(value.scalar_type()) || value.element_size() < 2) {
      source_->refuse(row.source, "type " +
                                      std::string(wire_name(stored_type(value.scalar_type()))) +
                                      ", expected F64, F32, BF16 or F16");
    }
    widest_ = widest_ ? at::promote_types(*widest_, value.scalar_type()) : value.scalar_type();
    const auto stored = std::make_shared<Stored>(Stored{row.source, value, value});
    stored->shape = value.sizes().vec();
    return stored;
  }

  std::shared_ptr<Stored> take_quantised(const Row& row, const QuantisedTensor& tensor) {
    if (row.canonical == "embed.W_E" || row.canonical == "pos_embed.W_pos") {
      source_->refuse(tensor.codes, "an embedding in " + std::string(name_of(tensor.form)) +
                                        " is not read, expected F64, F32, BF16 or F16");
    }
    const auto stored = std::make_shared<Stored>(Stored{row.source, {}, {}});
    stored->shape = tensor.shape;
    stored->quantised = quantised_view(*source_, tensor, m_->device_);
    return stored;
  }

  // Nothing is silent: a tensor nobody asked for is an error, unless the family says it holds none.
  void account() {
    std::vector<std::string> left;
    std::set<std::string> codes;
    for (const auto& [name, stored] : m_->stored_) {
      if (stored->quantised) codes.insert(m_->quantised_.by_name.at(name).codes);
    }
    for (const std::string& name : source_->names()) {
      if (m_->stored_.contains(name) || codes.contains(name)) continue;
      if (m_->quantised_.beside.contains(name)) continue;
      if (m_->spec_.tied && name == m_->head_.source) continue;  // the embedding again
      if (!beyond_decoder(*family_, m_->spec_, name)) left.push_back(name);
    }
    TORCH_CHECK_VALUE(left.empty(), "the checkpoint has tensors that family ", m_->spec_.family,
                      " does not account for: ", listed_in_quotes(left, kShown));
  }

  LoadOptions options_;
  std::unique_ptr<Source> source_;
  const Family* family_ = nullptr;
  std::shared_ptr<Model> m_{new Model()};
  std::optional<at::ScalarType> widest_;  // of what is not quantised
};

std::shared_ptr<Model> Model::load(std::shared_ptr<Checkpoint> checkpoint,
                                   const LoadOptions& options) {
  auto model = Loader(checkpoint_source(checkpoint), options).load();
  model->checkpoint_ = std::move(checkpoint);
  return model;
}

std::shared_ptr<Model> Model::share(Json config, std::map<std::string, at::Tensor> tensors,
                                    const LoadOptions& options) {
  return Loader(live_source(std::move(config), std::move(tensors)), options).load();
}

void Model::assemble() {
  layers_.clear();
  for (int64_t layer = 0; layer < spec_.n_layers; ++layer) {
    layers_.push_back(layer_weights(weights_, spec_, layer));
  }
  embed_norm_ = norm_of(weights_, "embed.ln");
  ln_final_ = norm_of(weights_, "ln_final");
  embed_ = {weight_or_none(weights_, "embed.W_E"), {}};
  embed_projection_ = linear_of(weights_, "embed.", "proj");
  pos_embed_ = {weight_or_none(weights_, "pos_embed.W_pos"), {}};
  unembed_projection_ = linear_of(weights_, "unembed.", "proj");
  unembed_ = {weight_or_none(weights_, spec_.tied ? "embed.W_E" : "unembed.W_U"),
              weight_or_none(weights_, "unembed.b_U")};
  if (spec_.position == PositionKind::sinusoidal) {
    sinusoids_ = sinusoids(spec_.n_ctx + spec_.position_offset, spec_.d_model).to(device_);
  }
}

std::shared_ptr<Model> Model::reread(const std::vector<std::string>& misreadings,
                                     const std::string& dtype) const {
  const std::shared_ptr<Model> other(new Model(*this));
  if (!dtype.empty()) other->dtype_ = computing_type(dtype, dtype_, device_);
  if (misreadings.empty()) return other;
  for (const std::string& name : misreadings) {
    const Misreading misreading = misreading_of(name, spec_);
    TORCH_CHECK_VALUE(misreading.applies(other->spec_, other->rows_), "misreading '", name,
                      "' does not apply to this model");
    misreading.change(other->spec_, other->rows_);
  }
  other->writers_.clear();
  other->weights_.clear();
  for (const Row& row : other->rows_) {
    other->weights_[row.canonical] = Weight(stored(row.source), row);
  }
  other->assemble();
  return other;
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
  stored->shape = value.sizes().vec();
  stored_[head_.source] = stored;
  rows_.push_back(head_);
  weights_[head_.canonical] = unembed_.weight = Weight(stored, head_);
}

}  // namespace lenswright
