#include "merge/input.h"

#include <stdexcept>

#include "base/error.h"

namespace lenswright {

Input::~Input() = default;

std::vector<const Checkpoint*> Input::checkpoints() const {
  if (checkpoint() == nullptr) return {};
  return {checkpoint()};
}

Input::Input(std::string name, std::vector<TensorInfo> tensors, Json config)
    : name_(std::move(name)), tensors_(std::move(tensors)), config_(std::move(config)) {
  for (size_t i = 0; i < tensors_.size(); ++i) by_name_.emplace(tensors_[i].name, i);
}

const TensorInfo* Input::find(std::string_view tensor) const {
  const auto it = by_name_.find(tensor);
  return it == by_name_.end() ? nullptr : &tensors_[it->second];
}

namespace {

class CheckpointInput final : public Input {
 public:
  CheckpointInput(const std::string& name, std::shared_ptr<Checkpoint> checkpoint)
      : Input(name, checkpoint->tensors(),
              checkpoint->has_config() ? checkpoint->config() : Json()),
        checkpoint_(std::move(checkpoint)) {
    for (const std::string& shard : checkpoint_->shards()) {
      files_.emplace(shard, checkpoint_->open_shard(shard));
    }
  }

  const Checkpoint* checkpoint() const override { return checkpoint_.get(); }

  // By reads and not through the map: a tile is used once and leaves no pages behind to be given
  // back, and a file that became shorter is an error, not a fault.
  const std::byte* read(const TensorInfo& tensor, uint64_t offset, uint64_t size,
                        std::byte* room) const override {
    const OpenFile& file = files_.at(tensor.file);
    if (!read_at(file.get(), tensor.begin + offset, {room, size})) {
      throw CheckpointError(Flaw::changed, tensor.file, "the file became shorter while it was read",
                            tensor.name, tensor.begin + offset);
    }
    return room;
  }

  void expect(const TensorInfo& tensor) const override {
    read_ahead(files_.at(tensor.file).get(), tensor.begin, tensor.bytes());
  }

  void forget(const TensorInfo& tensor) const override {
    forget_pages(files_.at(tensor.file).get(), tensor.begin, tensor.bytes());
  }

 private:
  std::shared_ptr<Checkpoint> checkpoint_;
  std::unordered_map<std::string, OpenFile> files_;
};

class MemoryInput final : public Input {
 public:
  MemoryInput(const std::string& name, std::vector<TensorInfo> tensors,
              std::vector<std::span<const std::byte>> bytes, Json config)
      : Input(name, std::move(tensors), std::move(config)), bytes_(std::move(bytes)) {}

  const std::byte* read(const TensorInfo& tensor, uint64_t offset, uint64_t,
                        std::byte*) const override {
    return bytes_[static_cast<size_t>(&tensor - this->tensors().data())].data() + offset;
  }

 private:
  std::vector<std::span<const std::byte>> bytes_;
};

class PlannedInput final : public Input {
 public:
  PlannedInput(const std::string& name, std::vector<TensorInfo> tensors, Json config)
      : Input(name, std::move(tensors), std::move(config)) {}

  const std::byte* read(const TensorInfo& tensor, uint64_t, uint64_t, std::byte*) const override {
    throw std::logic_error("tensor " + in_quotes(tensor.name) + " is not merged yet");
  }
};

}  // namespace

std::shared_ptr<const Input> open_input(const std::string& name,
                                        const std::filesystem::path& path) {
  return std::make_shared<CheckpointInput>(name, Checkpoint::open(path));
}

std::shared_ptr<const Input> memory_input(const std::string& name, std::vector<TensorInfo> tensors,
                                          std::vector<std::span<const std::byte>> bytes,
                                          Json config) {
  return std::make_shared<MemoryInput>(name, std::move(tensors), std::move(bytes),
                                       std::move(config));
}

std::shared_ptr<const Input> planned_input(const std::string& name, std::vector<TensorInfo> tensors,
                                           Json config) {
  return std::make_shared<PlannedInput>(name, std::move(tensors), std::move(config));
}

}  // namespace lenswright
