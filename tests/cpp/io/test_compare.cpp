#include "io/compare.h"

#include <cmath>
#include <limits>
#include <map>

#include "base/philox.h"
#include "io/file_writer.h"
#include "io/files.h"

using namespace lenswright;
using namespace lenswright::test;

namespace {

std::span<const std::byte> raw(const std::vector<float>& values) {
  return std::as_bytes(std::span(values));
}

Distance between(const std::vector<float>& a, const std::vector<float>& b, int threads = 0) {
  return distance(Dtype::f32, raw(a).data(), Dtype::f32, raw(b).data(),
                  static_cast<int64_t>(a.size()), nullptr, threads);
}

}  // namespace

TEST_CASE("distance: by hand") {
  const Distance d = between({3, 0, 4}, {3, 1, 4});
  REQUIRE(d.elements == 3);
  REQUIRE(d.different == 1);
  REQUIRE(d.relative == Approx(0.2));
  REQUIRE(d.max_abs == 1);
  REQUIRE(d.cosine == Approx(25 / (5 * std::sqrt(26.0))));
  REQUIRE(between({0, 0}, {0, 0}).cosine == 1);
  REQUIRE(between({0, 0}, {0, 0}).relative == 0);
  REQUIRE(std::isinf(between({0, 0}, {1, 0}).relative));
  REQUIRE(between({0, 0}, {1, 0}).cosine == 0);
  REQUIRE(between({1, 2}, {-1, -2}).cosine == Approx(-1));
}

TEST_CASE("distance: NaN and infinity") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float inf = std::numeric_limits<float>::infinity();
  const Distance d = between({nan, nan, 1, inf}, {nan, 1, 1, inf});
  REQUIRE(d.not_a_number == 2);
  REQUIRE(d.different == 1);
  REQUIRE(d.max_abs == 0);
}

TEST_CASE("distance: the number of threads changes no bit") {
  const Philox random(0, "distance");
  std::vector<float> a(3'000'017), b(a.size());
  double aa = 0, dd = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    a[i] = static_cast<float>(random.uniform(i));
    b[i] = a[i] + static_cast<float>(i % 5) * 0.01f;
    aa += double(a[i]) * double(a[i]);
    dd += (double(b[i]) - double(a[i])) * (double(b[i]) - double(a[i]));
  }
  const Distance one = between(a, b, 1), many = between(a, b, 5);
  REQUIRE(one.relative == many.relative);
  REQUIRE(one.cosine == many.cosine);
  REQUIRE(one.relative == Approx(std::sqrt(dd / aa)).epsilon(1e-9));
}

TEST_CASE("compare: every kind of difference") {
  const TempFolder folder;
  const auto make = [&](const char* name, const std::vector<TensorSpec>& specs) {
    FileWriter writer(folder / name, specs, {});
    for (const TensorInfo& t : writer.tensors()) {
      std::string data(t.bytes(), '\0');
      if (t.name == "changed" && name[0] == 'b') data[3] = '\x3f';
      writer.pwrite(t.name, 0, bytes(data));
    }
    writer.finish();
    return Checkpoint::open(folder / name);
  };
  const auto a = make("a.safetensors", {{"same", Dtype::f32, {2}},
                                        {"changed", Dtype::f32, {2}},
                                        {"dtype", Dtype::f32, {2}},
                                        {"shape", Dtype::f32, {2}},
                                        {"gone", Dtype::f32, {2}},
                                        {"bits", Dtype::f4, {2}}});
  const auto b = make("b.safetensors", {{"shape", Dtype::f32, {1, 2}},
                                        {"dtype", Dtype::bf16, {2}},
                                        {"changed", Dtype::f32, {2}},
                                        {"same", Dtype::f32, {2}},
                                        {"new", Dtype::u8, {1}},
                                        {"bits", Dtype::f4, {2}}});
  Progress progress;
  std::map<std::string, TensorChange> found;
  for (const TensorChange& change : compare(*a, *b, &progress)) found.emplace(change.name, change);
  using Kind = TensorChange::Kind;
  REQUIRE(found.at("same").kind == Kind::same);
  REQUIRE(found.at("bits").kind == Kind::same);
  REQUIRE(found.at("changed").kind == Kind::changed);
  REQUIRE(found.at("changed").distance->different == 1);
  REQUIRE(found.at("dtype").kind == Kind::dtype);
  REQUIRE(found.at("dtype").distance->max_abs == 0);  // the same values in another type
  REQUIRE(found.at("shape").kind == Kind::shape);
  REQUIRE(found.at("gone").kind == Kind::only_a);
  REQUIRE(found.at("new").kind == Kind::only_b);
  REQUIRE(progress.done() == progress.total());
  REQUIRE(progress.done() == 41);
}

TEST_CASE("compare: configurations") {
  const auto parse = [](const char* text) { return Json::parse(text, "config.json"); };
  const auto changes = compare(parse(R"({"a":1,"r":{"x":1,"y":[1]},"gone":null})"),
                               parse(R"({"r":{"y":[2],"x":1},"a":1.0,"new":"n"})"));
  REQUIRE(changes.size() == 3);
  REQUIRE((changes[0].path == "r.y" && changes[0].a == "[1]" && changes[0].b == "[2]"));
  REQUIRE((changes[1].path == "gone" && changes[1].a == "null" && changes[1].b.empty()));
  REQUIRE((changes[2].path == "new" && changes[2].a.empty() && changes[2].b == "\"n\""));
  REQUIRE(compare(parse("{}"), parse("{}")).empty());
}
