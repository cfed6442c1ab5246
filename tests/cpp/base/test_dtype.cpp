#include "base/dtype.h"

#include <set>
#include <string_view>

#include "catch.h"

using namespace lenswright;

TEST_CASE("dtypes: wire names lead back to their types") {
  std::set<std::string_view> names;
  for (const Dtype dtype : all_dtypes()) {
    REQUIRE(dtype_from_wire(wire_name(dtype)) == dtype);
    names.insert(wire_name(dtype));
  }
  REQUIRE(names.size() == 22);
  for (const char* wrong : {"", "f32", "F3", "F322", "F8", "BOOL "}) {
    REQUIRE_FALSE(dtype_from_wire(wrong).has_value());
  }
}

TEST_CASE("dtypes: bits") {
  REQUIRE(bits(Dtype::boolean) == 8);
  REQUIRE(bits(Dtype::f4) == 4);
  REQUIRE(bits(Dtype::f6_e3m2) == 6);
  REQUIRE(bits(Dtype::bf16) == 16);
  REQUIRE(bits(Dtype::c64) == 64);
  REQUIRE(element_bytes(Dtype::f4) == 0);
  REQUIRE(element_bytes(Dtype::f6_e2m3) == 0);
  REQUIRE(element_bytes(Dtype::f64) == 8);
  REQUIRE(is_float(Dtype::f8_e4m3));
  REQUIRE_FALSE(is_float(Dtype::c64));
  REQUIRE_FALSE(is_float(Dtype::i64));
}
