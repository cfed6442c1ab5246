#include "io/header_reader.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "io/json_text.h"

namespace lenswright {
namespace {

enum class Field { none, dtype, shape, data_offsets };

// Follows the parser's events through the only structure a header may have. Depth 1 is the header,
// depth 2 an entry or __metadata__, depth 3 a shape or a pair of offsets.
class HeaderReader {
 public:
  HeaderReader(std::string_view text, std::string_view file) : text_(text), file_(file) {}

  // The interface that nlohmann::json::sax_parse calls.
  bool null() {
    if (depth_ == 1 && in_metadata_) fail(Flaw::form, "__metadata__ is null, expected an object");
    return unexpected("null");
  }
  bool boolean(bool) { return unexpected("a boolean"); }
  // Negative numbers and "-0"; the format has neither.
  bool number_integer(int64_t value) { return unexpected("the number " + std::to_string(value)); }
  bool number_unsigned(uint64_t value);
  bool number_float(double, const std::string& text) { return unexpected("the number " + text); }
  bool string(std::string& value);
  bool binary(std::vector<uint8_t>&) { return false; }
  bool start_object(size_t);
  bool start_array(size_t);
  bool end_object();
  bool end_array();
  bool key(std::string& value);
  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception& error);

  RawHeader take() { return std::move(header_); }

 private:
  [[noreturn]] void fail(Flaw flaw, const std::string& message) const {
    const bool named = !in_metadata_ && depth_ > 0;
    const std::string tensor = named ? entry_.name : "";
    throw CheckpointError(flaw, std::string(file_), message, tensor,
                          key_position(text_, in_metadata_ ? "__metadata__" : entry_.name));
  }
  bool unexpected(const std::string& what) const;
  void field_key(const std::string& name);

  std::string_view text_;
  std::string_view file_;
  RawHeader header_;
  HeaderEntry entry_;
  int depth_ = 0;
  Field field_ = Field::none;
  unsigned seen_ = 0;   // fields of the current entry, one bit each
  size_t offsets_ = 0;  // offsets seen in the current entry
  bool in_metadata_ = false;
  bool had_metadata_ = false;
};

bool HeaderReader::unexpected(const std::string& what) const {
  if (depth_ == 0) fail(Flaw::syntax, "the header is " + what + ", expected an object");
  if (in_metadata_) {
    fail(Flaw::entry, depth_ == 1 ? "__metadata__ is " + what + ", expected an object"
                                  : "__metadata__ holds " + what + ", expected strings only");
  }
  if (depth_ == 1) fail(Flaw::entry, "the entry is " + what + ", expected an object");
  switch (field_) {
    case Field::dtype:
      fail(Flaw::entry, "dtype is " + what + ", expected a string");
    case Field::shape:
      fail(Flaw::entry, "shape holds " + what + ", expected sizes");
    default:
      fail(Flaw::entry, "data_offsets holds " + what + ", expected two offsets");
  }
}

bool HeaderReader::number_unsigned(uint64_t value) {
  if (depth_ != 3) return unexpected("the number " + std::to_string(value));
  if (field_ == Field::shape) {
    if (entry_.shape.size() == kMaxDimensions) {
      fail(Flaw::limit, "more than " + std::to_string(kMaxDimensions) + " dimensions");
    }
    entry_.shape.push_back(value);
    return true;
  }
  if (offsets_ == 2) fail(Flaw::entry, "data_offsets has more than two numbers");
  entry_.offsets[offsets_++] = value;
  return true;
}

bool HeaderReader::string(std::string& value) {
  if (depth_ == 2 && in_metadata_) {
    header_.metadata.back().second = std::move(value);
    return true;
  }
  if (depth_ != 2 || field_ != Field::dtype) return unexpected("the string " + in_quotes(value));
  const auto dtype = dtype_from_wire(value);
  if (!dtype) {
    std::vector<std::string> known;
    for (const Dtype d : all_dtypes()) known.emplace_back(wire_name(d));
    fail(Flaw::dtype, "unknown dtype " + in_quotes(value) + did_you_mean(value, known));
  }
  entry_.dtype = *dtype;
  return true;
}

bool HeaderReader::start_object(size_t) {
  if (depth_ == 2 && !in_metadata_ && field_ == Field::dtype) {
    fail(Flaw::form, "dtype is an object, expected a string");
  }
  if (depth_ >= 2) return unexpected("an object");
  ++depth_;
  seen_ = 0;
  offsets_ = 0;
  return true;
}

bool HeaderReader::start_array(size_t) {
  if (depth_ == 1 && !in_metadata_) fail(Flaw::form, "the entry is an array, expected an object");
  const bool wanted = field_ == Field::shape || field_ == Field::data_offsets;
  if (depth_ != 2 || in_metadata_ || !wanted) return unexpected("an array");
  ++depth_;
  return true;
}

bool HeaderReader::end_object() {
  --depth_;
  if (depth_ == 0) return true;
  if (in_metadata_) {
    in_metadata_ = false;
    return true;
  }
  ++depth_;  // a failure still belongs to the entry
  static constexpr const char* kFields[] = {"dtype", "shape", "data_offsets"};
  for (unsigned i = 0; i < 3; ++i) {
    if ((seen_ >> i & 1) == 0) fail(Flaw::entry, std::string("no ") + kFields[i]);
  }
  --depth_;
  header_.entries.push_back(std::move(entry_));
  entry_ = {};
  return true;
}

bool HeaderReader::end_array() {
  if (field_ == Field::data_offsets && offsets_ != 2) {
    fail(Flaw::entry, "data_offsets has fewer than two numbers");
  }
  --depth_;
  return true;
}

bool HeaderReader::key(std::string& value) {
  if (depth_ == 2 && in_metadata_) {
    if (header_.metadata.size() == kMaxTensors) {
      fail(Flaw::limit, "more than " + std::to_string(kMaxTensors) + " entries in __metadata__");
    }
    header_.metadata.emplace_back(std::move(value), "");
    return true;
  }
  if (depth_ == 2) {
    field_key(value);
    return true;
  }
  in_metadata_ = value == "__metadata__";
  if (in_metadata_) {
    if (had_metadata_) fail(Flaw::duplicate, "__metadata__ occurs twice");
    had_metadata_ = true;
    return true;
  }
  entry_.name = std::move(value);
  if (entry_.name.size() > kMaxNameBytes) {
    fail(Flaw::limit, "a name of more than " + std::to_string(kMaxNameBytes) + " bytes");
  }
  if (header_.entries.size() == kMaxTensors) {
    fail(Flaw::limit, "more than " + std::to_string(kMaxTensors) + " tensors");
  }
  return true;
}

void HeaderReader::field_key(const std::string& name) {
  if (name == "dtype") {
    field_ = Field::dtype;
  } else if (name == "shape") {
    field_ = Field::shape;
  } else if (name == "data_offsets") {
    field_ = Field::data_offsets;
  } else {
    fail(Flaw::form, "unknown field " + in_quotes(name) + ", expected dtype, shape, data_offsets");
  }
  const unsigned bit = 1u << (static_cast<unsigned>(field_) - 1);
  if ((seen_ & bit) != 0) fail(Flaw::duplicate, "the field " + in_quotes(name) + " occurs twice");
  seen_ |= bit;
}

bool HeaderReader::parse_error(size_t position, const std::string&,
                               const nlohmann::detail::exception& error) {
  const std::string_view what = error.what();
  const size_t detail = what.find(" - ");
  std::string why = "the header is not valid JSON";
  if (detail != std::string_view::npos) {
    // The parser repeats what it read last, which may be long or cut within a character.
    why += " (" + printable(what.substr(detail + 3)) + ")";
  }
  throw CheckpointError(Flaw::syntax, std::string(file_), why, "",
                        8 + (position == 0 ? 0 : position - 1));
}

}  // namespace

RawHeader read_header_text(std::string_view text, std::string_view file) {
  if (const auto flaw = find_text_flaw(text)) {
    throw CheckpointError(flaw->encoding ? Flaw::encoding : Flaw::syntax, std::string(file),
                          "the header holds " + flaw->why, "", 8 + flaw->at);
  }
  HeaderReader reader(text, file);
  nlohmann::json::sax_parse(text.begin(), text.end(), &reader);
  return reader.take();
}

uint64_t key_position(std::string_view header, std::string_view name) {
  const size_t at = header.find(json_quote(name));
  return 8 + (at == std::string_view::npos ? 0 : at);
}

}  // namespace lenswright
