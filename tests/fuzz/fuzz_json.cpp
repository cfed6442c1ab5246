// Json: any text is parsed or refused with std::invalid_argument; what was parsed survives a round.
#include <cstdlib>
#include <stdexcept>

#include "io/json.h"

using namespace lenswright;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const Json json = Json::parse(text, "fuzz");
    for (const int indent : {-1, 2}) {
      if (!(Json::parse(json.dump(indent), "again") == json)) std::abort();
    }
    if (json.is_object()) {
      for (const std::string& key : json.keys()) (void)json.at(key).type_name();
    }
  } catch (const std::invalid_argument&) {
  }
  return 0;
}
