#include "base/error.h"

#include <cerrno>
#include <vector>

#include "catch.h"

using namespace lenswright;

TEST_CASE("nearest name") {
  const std::vector<std::string> names = {"hook_resid_pre", "hook_resid_post", "attn.hook_z"};
  REQUIRE(nearest("hook_resid_prt", names) == "hook_resid_pre");
  REQUIRE(nearest("hook_residpost", names) == "hook_resid_post");
  REQUIRE(nearest("attn.hook_q", names) == "attn.hook_z");
  REQUIRE(nearest("attn.hoko_z", names) == "attn.hook_z");  // neighbours swapped
  REQUIRE(nearest("something else", names).empty());
  REQUIRE(nearest("", names).empty());
  REQUIRE(nearest(std::string(10'000, 'x'), names).empty());
  REQUIRE(did_you_mean("attn.hook_zz", names) == "; did you mean 'attn.hook_z'?");
  REQUIRE(did_you_mean("q", names).empty());
}

TEST_CASE("quotes make untrusted text safe to print") {
  REQUIRE(in_quotes("a.b") == "'a.b'");
  REQUIRE(in_quotes("é日") == "'é日'");
  REQUIRE(in_quotes("\x1b[31m\n") == "'\\x1b[31m\\x0a'");
  REQUIRE(in_quotes("\xff\xc3") == "'\\xff\\xc3'");
  REQUIRE(in_quotes(std::string(1000, 'a')).size() < 200);
}

TEST_CASE("errors of the system keep their number and say which file") {
  errno = ENOENT;
  try {
    throw_errno("cannot open", "x.bin");
    FAIL("did not throw");
  } catch (const FileError& error) {
    REQUIRE(error.code().value() == ENOENT);
    REQUIRE(std::string(error.what()) == "cannot open 'x.bin': No such file or directory");
  }
}
