#include "edits/constants.h"

#include <ATen/ATen.h>

#include <cmath>

namespace lenswright {
namespace {

// Every input a one: a row of a table, or the one input of a vector.
Factors to_each(const at::Tensor& vector, const WriterSite& writer) {
  Factors factors;
  factors.a = vector.unsqueeze(-2).contiguous();
  factors.b = at::ones({1, writer.inputs}, at::kDouble);
  if (vector.dim() == 2) factors.b = factors.b.unsqueeze(0).repeat({vector.size(0), 1, 1});
  return factors;
}

Factors to_bias(const at::Tensor& vector) {
  Factors factors;
  factors.shift = vector.contiguous();
  return factors;
}

// What the weights of a token's experts sum to; 0 where that is not the same for all.
double sum_of_weights(const Routing& routing) {
  const bool constant = routing.router == Router::softmax_last ||
                        (routing.renormalise && routing.router != Router::sparsemixer &&
                         routing.router != Router::sigmoid_input &&
                         routing.renormalise_min == 0.0 && routing.renormalise_eps < 1e-15);
  return constant ? routing.scale : 0.0;
}

class Finder {
 public:
  Finder(const Model& model, int64_t place, const at::Tensor& vector)
      : model_(model), spec_(model.spec()), place_(place), vector_(vector) {}

  std::map<std::string, Factors> find() {
    if (place_ == 0) return before_blocks();
    if (spec_.norms == NormPlacement::behind) {
      refuse("a norm stands behind every sum of residual and branch");
    }
    if (spec_.has_norm_after()) refuse("a norm stands behind the branches of the block before");
    for (const WriterKind kind : {WriterKind::mlp, WriterKind::attention}) {
      // In a block whose MLP reads what the attention wrote, only the MLP's bias comes last.
      if (kind == WriterKind::attention && !spec_.parallel) continue;
      const WriterSite* writer = site({kind, block()});
      if (writer && !writer->bias.empty()) {
        return {{writer->name, to_bias(vector_ / spec_.residual_scale)}};
      }
    }
    return in_experts();
  }

 private:
  int block() const { return static_cast<int>(place_) - 1; }

  const WriterSite* site(const WriterKey& key) const {
    for (const WriterSite& writer : model_.writers()) {
      if (writer.key() == key) return &writer;
    }
    return nullptr;
  }

  std::map<std::string, Factors> before_blocks() {
    if (const WriterSite* norm = site({WriterKind::embedding_norm})) {
      return {{norm->name, to_each(vector_, *norm)}};
    }
    const WriterSite* table = site({WriterKind::token_embedding});
    if (table && table->norm.empty()) {
      return {{table->name, to_each(vector_ / spec_.embed_scale, *table)}};
    }
    const WriterSite* positions = site({WriterKind::positional_embedding});
    if (positions) return {{positions->name, to_each(vector_, *positions)}};
    refuse("the embedding is projected or normed, and nothing behind that has a bias");
  }

  std::map<std::string, Factors> in_experts() {
    const Routing routing = spec_.routing(block());
    const double sum = sum_of_weights(routing);
    std::map<std::string, Factors> all;
    for (int64_t i = 0; i < routing.experts; ++i) {
      const WriterSite* expert = site({WriterKind::expert, block(), i});
      if (!expert || expert->bias.empty() || sum == 0.0) {
        all.clear();
        break;
      }
      const Factors& first =
          all.empty() ? to_bias(vector_ / (spec_.residual_scale * sum)) : all.begin()->second;
      all[expert->name] = Factors(first);
    }
    if (all.empty()) refuse("the last writers of the block before have no biases");
    return all;
  }

  [[noreturn]] void refuse(const char* why) const {
    TORCH_CHECK_VALUE(false, "nothing can be added to the residual before layer ", place_,
                      " of this model (", spec_.family, "): ", why,
                      place_ == 0 ? "" : "; expected layer 0, or steering instead of an edit");
  }

  const Model& model_;
  const Spec& spec_;
  int64_t place_;
  const at::Tensor& vector_;
};

}  // namespace

std::map<std::string, Factors> constant_at(const Model& model, int64_t place,
                                           const at::Tensor& vector) {
  const int64_t last = model.spec().n_layers;
  TORCH_CHECK_INDEX(place >= 0 && place <= last, "layer is ", place, ", expected 0 to ", last,
                    " (behind the last)");
  return Finder(model, place, vector).find();
}

}  // namespace lenswright
