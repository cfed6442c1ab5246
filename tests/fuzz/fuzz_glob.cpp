// Glob: pattern and name are the two lines of the input; linear time, no crash.
#include <stdexcept>

#include "base/glob.h"

using namespace lenswright;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const size_t line = text.find('\n');
  const std::string_view name = line == std::string_view::npos ? "" : text.substr(line + 1);
  try {
    (void)Glob(text.substr(0, line)).matches(name.substr(0, 1000));
  } catch (const std::invalid_argument&) {
  }
  return 0;
}
