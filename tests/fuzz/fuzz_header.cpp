// The whole path of a .safetensors header: any bytes must be read or refused, never more.
#include <cstdlib>
#include <stdexcept>

#include "io/file_writer.h"
#include "io/safetensors.h"

using namespace lenswright;

namespace {

// What was accepted must hold what the reader promises, and must be writable again.
void check(const SafetensorsHeader& header) {
  uint64_t at = header.data_start;
  std::vector<TensorSpec> specs;
  for (const TensorInfo& tensor : header.tensors) {
    if (tensor.begin != at || tensor.end < at ||
        tensor_bytes(tensor.dtype, tensor.shape) != tensor.bytes()) {
      std::abort();
    }
    at = tensor.end;
    specs.push_back({tensor.name, tensor.dtype, tensor.shape});
  }
  if (at + header.trailing_bytes != header.file_size) std::abort();
  if (make_header(specs, header.metadata).size() % 8 != 0) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  for (const bool lenient : {false, true}) {
    try {
      check(parse_header(bytes, size, "fuzz", {lenient}));
    } catch (const CheckpointError&) {
    }
  }
  return 0;
}
