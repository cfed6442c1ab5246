#include "merge/quantised_input.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <stdexcept>

#include "base/error.h"
#include "base/widen.h"
#include "merge/plan_config.h"
#include "spec/decoder.h"
#include "spec/quantised.h"

namespace lenswright {
namespace {

constexpr size_t kKept = 16;  // tensors whose scales stay in memory

// The numbers of codes are float32 products; only MXFP4 has larger ones than float32.
Dtype read_as(const QuantisedTensor& tensor) {
  return tensor.form == Quantisation::fp8 ? Dtype::f32 : Dtype::f64;
}

class QuantisedInput final : public Input {
 public:
  QuantisedInput(const std::string& name, std::shared_ptr<const Input> raw,
                 QuantisedTensors quantised, std::vector<TensorInfo> tensors, Json config)
      : Input(name, std::move(tensors), std::move(config)),
        raw_(std::move(raw)),
        quantised_(std::move(quantised)) {}

  const Checkpoint* checkpoint() const override { return raw_->checkpoint(); }

  const Checkpoint* holder(const TensorInfo& tensor) const override {
    return quantised_.find(tensor.name) == nullptr ? raw_->checkpoint() : nullptr;
  }

  Dtype stored(const TensorInfo& tensor) const override {
    return quantised_.find(tensor.name) == nullptr ? tensor.dtype : Dtype::bf16;
  }

  void expect(const TensorInfo& tensor) const override { raw_->expect(stored_as(tensor)); }
  void forget(const TensorInfo& tensor) const override { raw_->forget(stored_as(tensor)); }

  uint64_t held() const override {
    uint64_t largest = 0;
    for (const auto& [name, tensor] : quantised_.by_name) {
      const auto scales = static_cast<uint64_t>(raw_->find(tensor.scales)->numel());
      largest = std::max(largest, scales * sizeof(float));
    }
    return kKept * largest + 3 * largest;  // and as they were read
  }

  const std::byte* read(const TensorInfo& tensor, uint64_t offset, uint64_t size,
                        std::byte* room) const override {
    const QuantisedTensor* found = quantised_.find(tensor.name);
    if (found == nullptr) return raw_->read(*raw_->find(tensor.name), offset, size, room);
    const auto width = static_cast<uint64_t>(element_bytes(tensor.dtype));
    const auto first = static_cast<int64_t>(offset / width);
    const auto count = static_cast<int64_t>(size / width);
    if (found->form == Quantisation::fp8) {
      read_fp8(*found, first, count, reinterpret_cast<float*>(room));
    } else {
      read_mxfp4(*found, first, count, reinterpret_cast<double*>(room));
    }
    return room;
  }

 private:
  const TensorInfo& stored_as(const TensorInfo& tensor) const {
    const QuantisedTensor* found = quantised_.find(tensor.name);
    return *raw_->find(found == nullptr ? tensor.name : found->codes);
  }

  std::vector<std::byte> bytes_of(const std::string& stored, uint64_t offset, uint64_t size) const {
    std::vector<std::byte> out(size);
    const std::byte* there = raw_->read(*raw_->find(stored), offset, size, out.data());
    if (there != out.data()) std::memcpy(out.data(), there, size);
    return out;
  }

  void read_fp8(const QuantisedTensor& tensor, int64_t first, int64_t count, float* to) const {
    const int64_t columns = tensor.shape.back();
    const int64_t rows = tensor.shape[tensor.shape.size() - 2];
    const std::vector<std::byte> codes =
        bytes_of(tensor.codes, static_cast<uint64_t>(first), static_cast<uint64_t>(count));
    const std::shared_ptr<const std::vector<float>> scales = scales_of(tensor);
    const int64_t each = static_cast<int64_t>(scales->size()) / tensor.matrices();
    for (int64_t done = 0; done < count;) {
      const int64_t at = first + done, row = at / columns, column = at % columns;
      const int64_t n = std::min(count - done, columns - column);
      QuantisedMatrix m{Quantisation::fp8, tensor.scales, 1, n, codes.data() + done};
      m.grid = tensor.grid;
      const float* own =
          scales->data() + row / rows * each + tensor.grid.row_of(row % rows) * tensor.grid.columns;
      read_run(m, own, column, n, to + done);
      done += n;
    }
  }

  // `codes` begin in the middle of a row: block by block.
  static void read_run(QuantisedMatrix m, const float* scales, int64_t column, int64_t count,
                       float* to) {
    const std::byte* codes = m.codes;
    const int64_t block = m.grid.block_columns;
    for (int64_t done = 0; done < count;) {
      const int64_t n = std::min(count - done, block - (column + done) % block);
      m.codes = codes + done;
      m.columns = n;
      m.scales = scales + (column + done) / block;
      m.grid = {1, n, 1, 0};
      m.read(0, 0, n, to + done);
      done += n;
    }
  }

  // Stored [experts, outputs, inputs], read [experts, inputs, outputs]: a whole expert's codes for
  // some of its inputs.
  void read_mxfp4(const QuantisedTensor& tensor, int64_t first, int64_t count, double* to) const {
    const int64_t inputs = tensor.shape[1], outputs = tensor.shape[2], all = inputs * outputs;
    for (int64_t done = 0; done < count;) {
      const int64_t at = first + done, expert = at / all, inside = at % all;
      const int64_t n = std::min(count - done, all - inside);
      const auto codes = static_cast<uint64_t>(all / 2),
                 groups = static_cast<uint64_t>(all) / kMxGroup;
      const auto number = static_cast<uint64_t>(expert);
      const std::vector<std::byte> own = bytes_of(tensor.codes, number * codes, codes);
      const std::vector<std::byte> exponents = bytes_of(tensor.scales, number * groups, groups);
      QuantisedMatrix m{Quantisation::mxfp4, tensor.scales, outputs, inputs, own.data()};
      m.exponents = exponents.data();
      read_turned(m, inside, n, to + done);
      done += n;
    }
  }

  // Elements [first, first + count) of the transposed matrix.
  static void read_turned(const QuantisedMatrix& m, int64_t first, int64_t count, double* to) {
    const int64_t low = first / m.rows, high = (first + count - 1) / m.rows;
    std::vector<double> run(static_cast<size_t>(high - low + 1));
    for (int64_t output = 0; output < m.rows; ++output) {
      m.read(output, low, high - low + 1, run.data());
      for (int64_t input = low; input <= high; ++input) {
        const int64_t place = input * m.rows + output - first;
        if (place >= 0 && place < count) to[place] = run[static_cast<size_t>(input - low)];
      }
    }
  }

  // The last few are kept: a tensor is read piece by piece.
  std::shared_ptr<const std::vector<float>> scales_of(const QuantisedTensor& tensor) const {
    const std::lock_guard lock(mutex_);
    for (const auto& [known, scales] : kept_) {
      if (known == tensor.scales) return scales;
    }
    const TensorInfo& info = *raw_->find(tensor.scales);
    const std::vector<std::byte> raw = bytes_of(tensor.scales, 0, info.bytes());
    auto made = std::make_shared<std::vector<float>>(static_cast<size_t>(info.numel()));
    // Bytes without a type are exponents, as those of F8_E8M0 are.
    std::vector<double> wide(made->size());
    widen(info.dtype == Dtype::u8 ? Dtype::f8_e8m0 : info.dtype, raw.data(), info.numel(),
          wide.data());
    std::ranges::transform(wide, made->begin(), [](double x) { return static_cast<float>(x); });
    kept_.emplace_back(tensor.scales, made);
    if (kept_.size() > kKept) kept_.pop_front();
    return made;
  }

  std::shared_ptr<const Input> raw_;
  QuantisedTensors quantised_;
  mutable std::mutex mutex_;
  mutable std::deque<std::pair<std::string, std::shared_ptr<const std::vector<float>>>> kept_;
};

// Names that only quantised checkpoints have, where config.json does not say that it is one.
void refuse_unnamed(const std::string& model, const Input& raw) {
  struct Sign {
    std::string_view ending, form;
  };
  constexpr std::array kSigns = {Sign{".qweight", "GPTQ or AWQ"},
                                 Sign{".qzeros", "GPTQ or AWQ"},
                                 Sign{".weight_packed", "packed integers"},
                                 Sign{".absmax", "bitsandbytes"},
                                 Sign{".SCB", "bitsandbytes"},
                                 Sign{"_scale_inv", "fp8"},
                                 Sign{".weight_scale", "compressed-tensors or FBGEMM"}};
  for (const TensorInfo& tensor : raw.tensors()) {
    for (const Sign& sign : kSigns) {
      if (!tensor.name.ends_with(sign.ending)) continue;
      throw std::invalid_argument("model " + in_quotes(model) + ": tensor " +
                                  in_quotes(tensor.name) + " tells of weights quantised by " +
                                  std::string(sign.form) +
                                  ", but config.json has no quantization_config; expected one of "
                                  "fp8 or mxfp4, or plain weights");
    }
  }
}

Json only_quantisation(const Json& config) {
  Json out = Json::object();
  for (const Json& part : {config, decoder_part(config)}) {
    for (const char* key : {"quantization_config", "compression_config"}) {
      if (part.contains(key) && !part.at(key).is_null()) out.set(key, part.at(key));
    }
  }
  return out;
}

}  // namespace

std::shared_ptr<const Input> weights_input(const std::string& name,
                                           const std::filesystem::path& path) {
  auto raw = open_input(name, path);
  const Json& config = raw->config();
  const Json rule = config.is_null() ? Json::object() : only_quantisation(config);
  if (rule.size() == 0) {
    refuse_unnamed(name, *raw);
    return raw;
  }
  QuantisedTensors quantised;
  try {
    quantised = quantised_tensors(rule, catalog_of(*raw->checkpoint()));
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument("model " + in_quotes(name) + ": " + error.what());
  }
  std::map<std::string, std::string> weights;  // by the name of their codes
  for (const auto& [weight, one] : quantised.by_name) weights.emplace(one.codes, weight);
  std::vector<TensorInfo> tensors;
  for (TensorInfo info : raw->tensors()) {
    if (const auto weight = weights.find(info.name); weight != weights.end()) {
      const QuantisedTensor& found = *quantised.find(weight->second);
      info.name = weight->second;
      info.dtype = read_as(found);
      info.shape = found.shape;
      info.begin = 0;
      info.end = tensor_bytes(info.dtype, info.shape).value();
    } else if (quantised.beside.contains(info.name)) {
      continue;
    }
    tensors.push_back(std::move(info));
  }
  return std::make_shared<QuantisedInput>(name, std::move(raw), std::move(quantised),
                                          std::move(tensors), without_quantisation(config));
}

}  // namespace lenswright
