#include "io/checkpoint_error.h"

#include "base/error.h"

namespace lenswright {
namespace {

std::string sentence(const std::string& file, const std::string& message, const std::string& tensor,
                     std::optional<uint64_t> offset) {
  std::string text = file;
  if (!tensor.empty()) text += ": tensor " + in_quotes(tensor);
  text += ": " + message;
  if (offset) text += " (byte " + std::to_string(*offset) + ")";
  return text;
}

}  // namespace

const char* flaw_name(Flaw flaw) {
  switch (flaw) {
    case Flaw::truncated:
      return "truncated";
    case Flaw::header_length:
      return "header_length";
    case Flaw::encoding:
      return "encoding";
    case Flaw::syntax:
      return "syntax";
    case Flaw::entry:
      return "entry";
    case Flaw::dtype:
      return "dtype";
    case Flaw::overflow:
      return "overflow";
    case Flaw::size:
      return "size";
    case Flaw::offsets:
      return "offsets";
    case Flaw::trailing:
      return "trailing";
    case Flaw::duplicate:
      return "duplicate";
    case Flaw::limit:
      return "limit";
    case Flaw::form:
      return "form";
    case Flaw::index:
      return "index";
    case Flaw::path:
      return "path";
    case Flaw::pickle:
      return "pickle";
    case Flaw::layout:
      return "layout";
    case Flaw::changed:
      return "changed";
  }
  return "unknown";
}

CheckpointError::CheckpointError(Flaw flaw, std::string file, const std::string& message,
                                 std::string tensor, std::optional<uint64_t> offset)
    : std::runtime_error(sentence(file, message, tensor, offset)),
      flaw_(flaw),
      file_(std::move(file)),
      tensor_(std::move(tensor)),
      message_(message),
      offset_(offset) {}

CheckpointError::~CheckpointError() = default;

}  // namespace lenswright
