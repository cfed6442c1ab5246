#include "io/safetensors.h"

#include <limits>

#include "io/file_writer.h"
#include "io/files.h"

using namespace lenswright;
using namespace lenswright::test;

namespace {

SafetensorsHeader parse(std::string_view file, bool lenient = false) {
  return parse_header(bytes(file), file.size(), "m.safetensors", {lenient});
}

// The error that a file gives, as "flaw: message".
std::string refusal(std::string_view file) {
  try {
    parse(file);
  } catch (const CheckpointError& error) {
    REQUIRE(error.file() == "m.safetensors");
    REQUIRE(std::string(error.what()).starts_with("m.safetensors: "));
    return flaw_name(error.flaw()) + (": " + error.message());
  }
  return "accepted";
}

std::string entry(const std::string& dtype, const std::string& shape, const std::string& offsets,
                  const std::string& name = "t") {
  return "\"" + name + "\":{\"dtype\":" + dtype + ",\"shape\":" + shape +
         ",\"data_offsets\":" + offsets + "}";
}

std::string object(std::string_view members) {
  std::string text = "{";
  text += members;
  return text += '}';
}

bool refused(std::string_view file, std::string_view flaw) {
  const std::string found = refusal(file);
  if (!found.starts_with(std::string(flaw) + ":")) UNSCOPED_INFO("found " << found);
  return found.starts_with(std::string(flaw) + ":");
}

const std::string kOne = entry("\"U8\"", "[1]", "[0,1]");

}  // namespace

TEST_CASE("safetensors: a plain file") {
  const std::string file = safetensors(R"({"__metadata__":{"format":"pt","x":""},)" +
                                           entry("\"F32\"", "[1,2]", "[2,10]", "b") + "," +
                                           entry("\"F16\"", "[]", "[0,2]", "a") + "}  ",
                                       "0123456789");
  const SafetensorsHeader header = parse(file);
  REQUIRE(header.tensors.size() == 2);
  REQUIRE(header.tensors[0].name == "a");  // in the order of their bytes
  REQUIRE(header.tensors[0].shape.empty());
  REQUIRE(header.tensors[0].numel() == 1);
  REQUIRE(header.tensors[1].shape == std::vector<int64_t>{1, 2});
  REQUIRE(header.tensors[1].begin == header.data_start + 2);
  REQUIRE(header.tensors[1].end == file.size());
  REQUIRE(header.tensors[1].file == "m.safetensors");
  REQUIRE(header.metadata == Metadata{{"format", "pt"}, {"x", ""}});
}

TEST_CASE("safetensors: every dtype, empty tensors, odd but valid spellings") {
  std::vector<TensorSpec> specs;
  uint64_t size = 0;
  for (const Dtype d : all_dtypes()) {
    specs.push_back({std::string(wire_name(d)), d, {4, 2}});
    size += static_cast<uint64_t>(bits(d));
  }
  const SafetensorsHeader header =
      parse(safetensors(make_header(specs, {}), std::string(size, 'x')));
  REQUIRE(header.tensors.size() == specs.size());
  for (const auto& tensor : header.tensors) {
    REQUIRE(tensor.bytes() == static_cast<uint64_t>(bits(tensor.dtype)));
  }
  REQUIRE(refusal(safetensors("{}")) == "accepted");
  REQUIRE(refusal(safetensors(" \n{" + kOne + "}\t\r\n ", "x")) == "accepted");
  REQUIRE(refusal(safetensors(object(entry("\"F32\"", "[0,7]", "[0,0]")))) == "accepted");
  REQUIRE(refusal(safetensors(object(entry("\"U8\"", "[1]", "[0,1]", "\\u0000/..\\n")), "x")) ==
          "accepted");
  REQUIRE(refusal(safetensors(object(entry("\"U8\"", "[0]", "[0,0]", "e") + "," + kOne + "," +
                                     entry("\"U8\"", "[0]", "[1,1]", "f")),
                              "x")) == "accepted");
}

TEST_CASE("safetensors: frames that cannot be") {
  REQUIRE(refused("", "truncated"));
  REQUIRE(refused("1234567", "truncated"));
  REQUIRE(refused(std::string("\x20\0\0\0\0\0\0\0{}", 10), "truncated"));
  REQUIRE(refused(std::string("\xff\xff\xff\xff\xff\xff\xff\xff{}", 10), "header_length"));
  REQUIRE(refused(std::string("\x01\xe1\xf5\x05\0\0\0\0{}", 10), "header_length"));  // 100,000,001
  REQUIRE(refused(std::string(8, '\0'), "syntax"));
  REQUIRE(refused(safetensors(object(kOne), "xy"), "trailing"));
  REQUIRE(refused(safetensors("{}", "x"), "trailing"));
  REQUIRE(refused(safetensors(object(kOne), ""), "truncated"));
}

TEST_CASE("safetensors: lenient reading lets bytes at the end pass, and nothing else") {
  const SafetensorsHeader header = parse(safetensors(object(kOne), "xyz"), true);
  REQUIRE(header.trailing_bytes == 2);
  REQUIRE(header.tensors[0].bytes() == 1);
  REQUIRE_THROWS_AS(parse(safetensors(object(kOne), ""), true), CheckpointError);
  REQUIRE_THROWS_AS(parse(safetensors(object(entry("\"U8\"", "[1]", "[1,2]")), "xyz"), true),
                    CheckpointError);
}

TEST_CASE("safetensors: text that is no header") {
  for (const char* wrong :
       {"", "[]", "null", "1", "{", "{]", "{\"a\"}", "{,}", "{} x", "{}{}", "//\n{}"}) {
    CAPTURE(wrong);
    REQUIRE(refused(safetensors(wrong), "syntax"));
  }
  REQUIRE(refused(safetensors("\xEF\xBB\xBF{}"), "syntax"));
  REQUIRE(refused(safetensors(std::string("{}\0", 3)), "syntax"));
  REQUIRE(refused(safetensors("{\"\xC3\x28\":1}"), "encoding"));
  REQUIRE(refused(safetensors("{\"\xed\xa0\x80\":1}"), "encoding"));
  REQUIRE(refused(safetensors("{\"\\ud800\":1}"), "syntax"));
  REQUIRE(refused(safetensors(std::string(100'000, '[')), "syntax"));
  std::string deep = "{\"a\":";
  deep.append(100'000, '{');
  REQUIRE(refused(safetensors(deep), "syntax"));
}

TEST_CASE("safetensors: entries of the wrong make") {
  const auto with = [](const std::string& e) { return safetensors(object(e), "x"); };
  REQUIRE(refused(with("\"t\":null"), "entry"));
  REQUIRE(refused(with("\"t\":1"), "entry"));
  REQUIRE(refused(with("\"t\":{}"), "entry"));
  REQUIRE(refused(with("\"t\":{\"dtype\":\"U8\",\"shape\":[1]}"), "entry"));
  REQUIRE(refused(with(entry("4", "[1]", "[0,1]")), "entry"));
  REQUIRE(refused(with(entry("null", "[1]", "[0,1]")), "entry"));
  REQUIRE(refused(with(entry("\"f32\"", "[1]", "[0,1]")), "dtype"));
  REQUIRE(refusal(with(entry("\"BF61\"", "[1]", "[0,1]"))) ==
          "dtype: unknown dtype 'BF61'; did you mean 'BF16'?");
  for (const char* shape : {"1", "null", "\"1\"", "[1.0]", "[-1]", "[-0]", "[1e0]", "[\"1\"]",
                            "[[1]]", "[null]", "[true]", "{}", "[18446744073709551616]"}) {
    CAPTURE(shape);
    REQUIRE(refused(with(entry("\"U8\"", shape, "[0,1]")), "entry"));
  }
  for (const char* offsets : {"0", "[]", "[0]", "[0,1,2]", "[0,-1]", "[-0,1]", "[0,1.0]",
                              "[0,\"1\"]", "{\"0\":1}", "[[0],1]", "null"}) {
    CAPTURE(offsets);
    REQUIRE(refused(with(entry("\"U8\"", "[1]", offsets)), "entry"));
  }
}

TEST_CASE("safetensors: metadata holds strings only") {
  const auto with = [](const std::string& m) {
    return safetensors("{\"__metadata__\":" + m + "," + kOne + "}", "x");
  };
  REQUIRE(refusal(with("{}")) == "accepted");
  REQUIRE(refusal(with("{\"dtype\":\"U8\",\"shape\":\"\"}")) == "accepted");
  for (const char* wrong :
       {"1", "[]", "\"x\"", "true", "{\"a\":1}", "{\"a\":null}", "{\"a\":{}}", "{\"a\":[\"b\"]}"}) {
    CAPTURE(wrong);
    REQUIRE(refused(with(wrong), "entry"));
  }
}

TEST_CASE("safetensors: offsets and sizes") {
  const auto two = [](const std::string& a, const std::string& b) {
    return safetensors(
        object(entry("\"U8\"", "[2]", a, "a") + "," + entry("\"U8\"", "[2]", b, "b")), "wxyz");
  };
  REQUIRE(refusal(two("[0,2]", "[2,4]")) == "accepted");
  REQUIRE(refusal(two("[2,4]", "[0,2]")) == "accepted");
  REQUIRE(refused(two("[0,2]", "[0,2]"), "offsets"));
  REQUIRE(refused(two("[0,2]", "[1,3]"), "offsets"));
  REQUIRE(refused(two("[0,2]", "[3,5]"), "offsets"));
  REQUIRE(refused(two("[1,3]", "[3,5]"), "offsets"));
  REQUIRE(refused(two("[2,0]", "[2,4]"), "offsets"));
  REQUIRE(refused(two("[0,2]", "[2,18446744073709551615]"), "size"));
  REQUIRE(refused(two("[0,2]", "[2,3]"), "size"));
  REQUIRE(refused(safetensors(object(entry("\"F4\"", "[3]", "[0,1]")), "x"), "size"));
  REQUIRE(refused(safetensors(object(entry("\"F6_E2M3\"", "[2]", "[0,1]")), "x"), "size"));
  const std::string found = refusal(two("[0,2]", "[3,5]"));
  REQUIRE(found.find("[3, 5]") != std::string::npos);
  REQUIRE(found.find("ends at 2") != std::string::npos);
}

TEST_CASE("safetensors: products that wrap around are refused") {
  for (const char* shape :
       {"[4294967296,4294967296]", "[9223372036854775808]", "[18446744073709551615,2]",
        "[4611686018427387904,4]", "[3,6148914691236517206]", "[18446744073709551615,5,0]",
        "[0,9223372036854775807,3]", "[2305843009213693952]"}) {
    CAPTURE(shape);
    REQUIRE(refused(safetensors(object(entry("\"F32\"", shape, "[0,0]"))), "overflow"));
  }
  REQUIRE(refused(
      safetensors(object(entry("\"U8\"", "[9223372036854775807]", "[0,9223372036854775807]") + "," +
                         entry("\"U8\"", "[0]", "[9223372036854775807,0]", "b"))),
      "overflow"));
}

TEST_CASE("safetensors: stricter than the reference, in the listed classes") {
  REQUIRE(refused(safetensors(object(kOne + "," + kOne), "x"), "duplicate"));
  REQUIRE(refused(safetensors(object(kOne + "," + entry("\"U8\"", "[1]", "[0,1]", "\\u0074")), "x"),
                  "duplicate"));
  REQUIRE(refused(safetensors("{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}"), "duplicate"));
  REQUIRE(refused(safetensors("{\"__metadata__\":{},\"__metadata__\":{}}"), "duplicate"));
  REQUIRE(refused(safetensors("{\"t\":{\"shape\":[1]," + kOne.substr(5) + "}", "x"), "duplicate"));
  REQUIRE(refused(safetensors("{\"t\":{\"x\":1," + kOne.substr(5) + "}", "x"), "form"));
  REQUIRE(refused(safetensors("{\"t\":[\"U8\",[1],[0,1]]}", "x"), "form"));
  REQUIRE(refused(safetensors(object(entry("{\"U8\":null}", "[1]", "[0,1]")), "x"), "form"));
  REQUIRE(refused(safetensors("{\"__metadata__\":null}"), "form"));
  const auto long_name = entry("\"U8\"", "[1]", "[0,1]", std::string(kMaxNameBytes + 1, 'n'));
  REQUIRE(refused(safetensors(object(long_name), "x"), "limit"));
  std::string shape = "[1";
  for (size_t i = 0; i < kMaxDimensions; ++i) shape += ",1";
  REQUIRE(refused(safetensors(object(entry("\"U8\"", shape + "]", "[0,1]")), "x"), "limit"));
}

TEST_CASE("safetensors: more than a million tensors are refused") {
  std::string header = "{";
  for (size_t i = 0; i <= kMaxTensors; ++i) {
    header.append("\"").append(std::to_string(i));
    header += R"(":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},)";
  }
  header.back() = '}';
  REQUIRE(refused(safetensors(header), "limit"));
}

TEST_CASE("safetensors: errors say which tensor and where") {
  const std::string file =
      safetensors(object(kOne + "," + entry("\"U8\"", "[1]", "[2,3]", "second")), "xyz");
  try {
    parse(file);
    FAIL("accepted");
  } catch (const CheckpointError& error) {
    REQUIRE(error.tensor() == "second");
    REQUIRE(error.offset() == file.find("\"second\""));
    REQUIRE(std::string(error.what()).find("tensor 'second'") != std::string::npos);
  }
}

TEST_CASE("tensor_bytes") {
  using Shape = std::vector<int64_t>;
  REQUIRE(tensor_bytes(Dtype::f32, Shape{2, 3}) == 24u);
  REQUIRE(tensor_bytes(Dtype::f32, Shape{}) == 4u);
  REQUIRE(tensor_bytes(Dtype::f4, Shape{4}) == 2u);
  REQUIRE_FALSE(tensor_bytes(Dtype::f4, Shape{3}).has_value());
  REQUIRE_FALSE(tensor_bytes(Dtype::f32, Shape{-1}).has_value());
  REQUIRE_FALSE(
      tensor_bytes(Dtype::f32, Shape{std::numeric_limits<int64_t>::max(), 2}).has_value());
}
