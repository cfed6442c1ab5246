#include "edits/model_card.h"

#include "catch.h"
#include "io/files.h"
#include "io/writer.h"

namespace lenswright::test_model_card {
namespace {

std::shared_ptr<Checkpoint> checkpoint(const std::filesystem::path& folder, const char* card) {
  const std::vector<TensorSpec> specs = {{"w", Dtype::f32, {1}}};
  FolderWriter writer(folder);
  const std::vector<std::byte> zeros(4);
  writer.shard("model.safetensors", specs, {}).pwrite("w", 0, zeros);
  if (card != nullptr) writer.write_text(kCard, card);
  writer.commit();
  return Checkpoint::open(folder);
}

TEST_CASE("a section stands behind what is there, between marks of its step") {
  const test::TempFolder folder;
  const std::string section =
      "<!-- lenswright, commit 3 -->\ntext\n<!-- end of lenswright, commit 3 -->\n";
  CHECK(card_text(*checkpoint(folder / "none", nullptr), "text", 3) == section);
  CHECK(card_text(*checkpoint(folder / "empty", ""), "text\n", 3) == section);
  CHECK(card_text(*checkpoint(folder / "line", "# A\n"), "text", 3) == "# A\n\n" + section);
  CHECK(card_text(*checkpoint(folder / "open", "# A"), "text", 3) == "# A\n\n" + section);
}

}  // namespace
}  // namespace lenswright::test_model_card
