#include "edits/model_card.h"

#include <algorithm>

#include "io/open_file.h"

namespace lenswright {

std::string card_text(const Checkpoint& input, std::string_view section, size_t step) {
  std::string text;
  if (std::ranges::count(input.other_files(), kCard) > 0) text = read_text(input.file(kCard));
  if (!text.empty()) text += text.back() == '\n' ? "\n" : "\n\n";
  const std::string name = "lenswright, commit " + std::to_string(step);
  text += "<!-- " + name + " -->\n";
  text += section;
  if (section.empty() || section.back() != '\n') text += '\n';
  return text + "<!-- end of " + name + " -->\n";
}

}  // namespace lenswright
