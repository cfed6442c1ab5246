#include "model/source.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "model/tensors.h"

namespace lenswright {
namespace {

class CheckpointSource : public Source {
 public:
  explicit CheckpointSource(std::shared_ptr<Checkpoint> checkpoint)
      : checkpoint_(std::move(checkpoint)) {}

  Decoder decoder() const override { return decoder_of(*checkpoint_); }
  std::vector<std::string> names() const override {
    std::vector<std::string> names;
    for (const TensorInfo& info : checkpoint_->tensors()) names.push_back(info.name);
    return names;
  }
  bool contains(const std::string& name) const override { return checkpoint_->contains(name); }
  at::Tensor tensor(const std::string& name) const override {
    return mapped_tensor(*checkpoint_, checkpoint_->info(name));
  }
  void refuse(const std::string& name, const std::string& what) const override {
    if (!contains(name)) {
      throw CheckpointError(Flaw::layout, checkpoint_->shards().front(), what, name);
    }
    const TensorInfo& info = checkpoint_->info(name);
    throw CheckpointError(Flaw::layout, info.file, what, info.name, info.begin);
  }

 private:
  std::shared_ptr<Checkpoint> checkpoint_;
};

class LiveSource : public Source {
 public:
  LiveSource(Json config, std::map<std::string, at::Tensor> tensors)
      : config_(std::move(config)), tensors_(std::move(tensors)) {}

  Decoder decoder() const override {
    const auto equal = [&](const std::string& a, const std::string& b) {
      const at::Tensor &x = tensors_.at(a), &y = tensors_.at(b);
      return x.is_alias_of(y) || (x.sizes() == y.sizes() && at::equal(x, y));
    };
    return decoder_of(config_, {[&](const std::string& name) { return contains(name); },
                                [&](const std::string& name) { return sizes(name); }, equal,
                                [&](const std::string& name) {
                                  return stored_type(tensors_.at(name).scalar_type());
                                },
                                [&] { return names(); }});
  }
  std::vector<std::string> names() const override {
    std::vector<std::string> names;
    for (const auto& [name, tensor] : tensors_) names.push_back(name);
    return names;
  }
  bool contains(const std::string& name) const override { return tensors_.contains(name); }
  at::Tensor tensor(const std::string& name) const override { return tensors_.at(name).detach(); }
  void refuse(const std::string& name, const std::string& what) const override {
    TORCH_CHECK_VALUE(false, "tensor '", name, "': ", what);
  }

 private:
  std::vector<int64_t> sizes(const std::string& name) const {
    return tensors_.at(name).sizes().vec();
  }

  Json config_;
  std::map<std::string, at::Tensor> tensors_;
};

}  // namespace

Source::~Source() = default;

std::unique_ptr<Source> checkpoint_source(std::shared_ptr<Checkpoint> checkpoint) {
  return std::make_unique<CheckpointSource>(std::move(checkpoint));
}

std::unique_ptr<Source> live_source(Json config, std::map<std::string, at::Tensor> tensors) {
  return std::make_unique<LiveSource>(std::move(config), std::move(tensors));
}

}  // namespace lenswright
