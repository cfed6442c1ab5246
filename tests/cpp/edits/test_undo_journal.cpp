#include "edits/undo_journal.h"

#include <fstream>
#include <random>

#include "catch.h"
#include "io/checkpoint_error.h"
#include "io/files.h"

namespace lenswright::test_undo_journal {
namespace {

std::string contents(const std::filesystem::path& path) { return read_text(path); }

void put(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

// Pieces of 0, 1, 2 … bytes, brought in this order.
std::string written(const std::filesystem::path& path, const std::vector<size_t>& order) {
  std::filesystem::remove(path);
  UndoWriter writer(create_file(path));
  CHECK(writer.reserve("a", 2) == 0);
  CHECK(writer.reserve("b", 3) == 2);
  for (const size_t i : order) writer.put(i, std::string(i, static_cast<char>('a' + i)));
  Json about = Json::object();
  about.set("format", "x");
  const uint64_t size = writer.finish(about);
  CHECK(size == std::filesystem::file_size(path));
  CHECK(writer.range("b").count == 3);
  return contents(path);
}

TEST_CASE("UndoWriter: pieces lie in the order they were reserved in") {
  const test::TempFolder folder;
  const auto path = folder / "j";
  const std::string text = written(path, {0, 1, 2, 3, 4});
  CHECK(written(path, {4, 2, 3, 0, 1}) == text);
  const UndoReader reader(path);
  CHECK(reader.pieces() == 5);
  CHECK(reader.text(3) == "ddd");
  CHECK(reader.text(0).empty());
  CHECK(reader.about().at("format").as_string() == "x");
  CHECK_THROWS_AS(reader.piece(5), CheckpointError);
}

TEST_CASE("UndoReader: files that are no journal are refused") {
  const test::TempFolder folder;
  const auto path = folder / "j", other = folder / "k";
  const std::string text = written(path, {0, 1, 2, 3, 4});
  for (size_t size = 0; size < text.size(); ++size) {  // cut off anywhere
    put(other, text.substr(0, size));
    CHECK_THROWS(UndoReader(other));
  }
  put(other, text + "x");
  CHECK_THROWS(UndoReader(other));
  std::mt19937 random(1);
  for (int i = 0; i < 3000; ++i) {  // a wrong byte is refused, or changes what is read, no more
    std::string wrong = text;
    wrong[random() % wrong.size()] = static_cast<char>(random());
    put(other, wrong);
    try {
      const UndoReader reader(other);
      for (size_t piece = 0; piece < reader.pieces(); ++piece) reader.piece(piece);
    } catch (const std::exception&) {
    }
  }
}

TEST_CASE("UndoReader: ranges stay within the pieces") {
  const test::TempFolder folder;
  written(folder / "j", {0, 1, 2, 3, 4});
  const UndoReader reader(folder / "j");
  const auto range = [&](int64_t first, int64_t count) {
    Json json = Json::object();
    json.set("first", first);
    json.set("count", count);
    return reader.range(json);
  };
  CHECK(range(2, 3).first == 2);
  CHECK(range(5, 0).count == 0);
  for (const auto& [first, count] : {std::pair<int64_t, int64_t>{2, 4},
                                     {6, 0},
                                     {-1, 2},
                                     {1, -1},
                                     {INT64_MAX, 1},
                                     {1, INT64_MAX}}) {
    CHECK_THROWS_AS(range(first, count), CheckpointError);
  }
}

}  // namespace
}  // namespace lenswright::test_undo_journal
