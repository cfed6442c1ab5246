#pragma once

// Catch2 2.13 and 3 under one include. Tests use what both have: TEST_CASE, SECTION, REQUIRE,
// REQUIRE_FALSE, REQUIRE_THROWS_AS, REQUIRE_NOTHROW, CHECK, CAPTURE, INFO. No SKIP: 2.13 has none.
#undef CHECK  // torch's logging has one of its own
#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
using Catch::Approx;
#else
#include <catch2/catch.hpp>
#endif
