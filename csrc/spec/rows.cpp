#include "spec/rows.h"

#include <numeric>

namespace lenswright {

std::vector<int64_t> Row::stored_shape() const {
  std::vector<int64_t> shape;
  if (experts > 0) shape.push_back(experts);
  if (layout == Layout::in_out && inputs > 0) shape.push_back(inputs);
  if (stored > 0) shape.push_back(stored);
  if (layout == Layout::out_in && inputs > 0) shape.push_back(inputs);
  return shape;
}

void Rows::add(Row row) {
  row.expert = expert_;
  row.experts = experts_;
  rows_.push_back(std::move(row));
}

void Rows::expert(int64_t index, int64_t of) {
  expert_ = index;
  experts_ = of;
}

void Rows::matrix(std::string canonical, std::string source, int64_t outputs, int64_t inputs,
                  Layout layout) {
  add({std::move(canonical), std::move(source), layout, outputs, inputs, 0, outputs});
}

void Rows::vector(std::string canonical, std::string source, int64_t size, bool optional) {
  add({std::move(canonical), std::move(source), Layout::out_in, size, 0, 0, size, optional});
}

void Rows::scalar(std::string canonical, std::string source) {
  add({std::move(canonical), std::move(source)});
}

void Rows::linear(const std::string& prefix, const std::string& part, const std::string& source,
                  int64_t outputs, int64_t inputs, Layout layout) {
  matrix(prefix + "W_" + part, source + ".weight", outputs, inputs, layout);
  vector(prefix + "b_" + part, source + ".bias", outputs, true);
}

void Rows::parts(const std::vector<std::string>& canonical, const std::string& source,
                 const std::vector<int64_t>& outputs, int64_t inputs, Layout layout,
                 bool optional) {
  interleaved(canonical, source, outputs, 1, inputs, layout, optional);
}

void Rows::interleaved(const std::vector<std::string>& canonical, const std::string& source,
                       const std::vector<int64_t>& runs, int64_t turns, int64_t inputs,
                       Layout layout, bool optional) {
  const int64_t distance = std::accumulate(runs.begin(), runs.end(), int64_t{0});
  int64_t start = 0;
  for (size_t i = 0; i < canonical.size(); ++i) {
    Row row{canonical[i], source, layout, turns * runs[i], inputs, start, turns * distance};
    row.optional = optional;
    row.run = runs[i];
    row.distance = distance;
    add(std::move(row));
    start += runs[i];
  }
}

}  // namespace lenswright
