#include "spec/rows.h"

#include <numeric>

namespace lenswright {

std::vector<int64_t> Row::stored_shape() const {
  if (inputs == 0) return {stored};
  if (layout == Layout::out_in) return {stored, inputs};
  return {inputs, stored};
}

void Rows::matrix(std::string canonical, std::string source, int64_t outputs, int64_t inputs,
                  Layout layout) {
  rows_.push_back({std::move(canonical), std::move(source), layout, outputs, inputs, 0, outputs});
}

void Rows::vector(std::string canonical, std::string source, int64_t size, bool optional) {
  rows_.push_back(
      {std::move(canonical), std::move(source), Layout::out_in, size, 0, 0, size, optional});
}

void Rows::parts(const std::vector<std::string>& canonical, const std::string& source,
                 const std::vector<int64_t>& outputs, int64_t inputs, Layout layout) {
  const int64_t total = std::accumulate(outputs.begin(), outputs.end(), int64_t{0});
  int64_t start = 0;
  for (size_t i = 0; i < canonical.size(); ++i) {
    rows_.push_back({canonical[i], source, layout, outputs[i], inputs, start, total});
    start += outputs[i];
  }
}

}  // namespace lenswright
