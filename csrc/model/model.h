#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "io/checkpoint.h"
#include "model/batch.h"
#include "model/kv_cache.h"
#include "model/layer.h"
#include "model/plan.h"
#include "spec/quantised.h"
#include "spec/writers.h"

namespace lenswright {

/// What a run starts from.
struct ModelInput {
  Batch batch;
  at::Tensor residual;  // [batch, pos, d_model]; needed where start_at_layer > 0
  KvCache* cache = nullptr;
  at::Tensor positions;  // [batch, pos]; undefined: counted from each row's first token
};

struct ModelOutput {
  at::Tensor logits;    // [batch, pos (1 where only the last is wanted), d_vocab], or undefined
  at::Tensor residual;  // where the run stopped before the end
};

struct LoadOptions {
  std::string device = "cpu";
  std::string dtype = "auto";  // of the computation; weights stay as stored
  bool strict = false;         // unknown config keys are errors
};

/// A spec, weights, a device and a type. `run` is the only forward.
class Model {
 public:
  static std::shared_ptr<Model> load(std::shared_ptr<Checkpoint> checkpoint,
                                     const LoadOptions& options);
  /// A model of tensors somebody holds, which it shares: config as in config.json, tensors by the
  /// names of a checkpoint or of a live `transformers` model.
  static std::shared_ptr<Model> share(Json config, std::map<std::string, at::Tensor> tensors,
                                      const LoadOptions& options);

  /// The same tensors read another way: misread on purpose (see spec/misreadings.h, each by its
  /// name, in turn), or computed in another type. A misread model has no writers.
  std::shared_ptr<Model> reread(const std::vector<std::string>& misreadings,
                                const std::string& dtype = "") const;

  ModelOutput run(const ModelInput& input, const Taps& taps, const Wanted& wanted) const;

  const Spec& spec() const { return spec_; }
  at::ScalarType dtype() const { return dtype_; }
  at::Device device() const { return device_; }
  /// Null where the model shares somebody's tensors.
  const std::shared_ptr<Checkpoint>& checkpoint() const { return checkpoint_; }
  const std::vector<WriterSite>& writers() const { return writers_; }
  const std::vector<Row>& rows() const { return rows_; }

  /// The stored tensors by their names in the checkpoint.
  const std::map<std::string, std::shared_ptr<Stored>>& stored() const { return stored_; }
  const std::shared_ptr<Stored>& stored(const std::string& name) const;
  /// How those of them are stored that are quantised.
  const QuantisedTensors& quantised() const { return quantised_; }
  /// A canonical weight by its TransformerLens name.
  const Weight& weight(const std::string& canonical) const;
  /// nullptr where the model has no such weight.
  const Weight* find_weight(const std::string& canonical) const;

  /// Where an unembedding of its own lies in this family's checkpoints.
  const Row& head() const { return head_; }
  /// Of tied embeddings: gives the unembedding a tensor of its own (the token embedding's as
  /// stored), or takes it away.
  void untie(bool on);

  KvCache make_cache(int64_t rows, int64_t slots) const;

 private:
  friend class Loader;
  Model() : device_(at::kCPU) {}

  /// Puts weights_ where the run looks for them.
  void assemble();
  at::Tensor embed(const ModelInput& input, const at::Tensor& positions, const Taps& taps) const;
  at::Tensor embed_normed(const at::Tensor& x, const Pass& pass) const;
  at::Tensor unembed(at::Tensor residual, const Batch& batch, const Pass& pass,
                     Logits logits) const;
  Pass make_pass(const ModelInput& input, const at::Tensor& positions, const Taps& taps) const;
  std::vector<AttentionSetting> attention_settings(const ModelInput& input,
                                                   const at::Tensor& positions,
                                                   const at::Tensor& base) const;

  std::shared_ptr<Checkpoint> checkpoint_;
  Spec spec_;
  std::vector<Row> rows_;
  std::vector<WriterSite> writers_;
  QuantisedTensors quantised_;
  std::map<std::string, std::shared_ptr<Stored>> stored_;
  std::map<std::string, Weight> weights_;
  Row head_;  // where an untied unembedding lies
  Linear embed_, pos_embed_, unembed_;
  Linear embed_projection_, unembed_projection_;  // where embeddings are narrower than d_model
  at::Tensor sinusoids_;                          // [n_ctx + offset, d_model]
  std::vector<LayerWeights> layers_;
  NormWeights embed_norm_, ln_final_;
  at::ScalarType dtype_ = at::kFloat;
  at::Device device_;
};

}  // namespace lenswright
