#include "merge/work.h"

#include <stdexcept>

namespace lenswright {

Work::~Work() = default;

Cut Work::cut(int) const { return Cut::elements; }

bool Work::wants(int, int64_t) const { return true; }
void Work::read(int, int64_t, const Strip&) {}

bool Work::finish(int) { return false; }

uint64_t Work::held() const { return 0; }

std::string Work::remark() const { return ""; }

double Values::at(std::string_view name) const {
  const auto it = values_.find(name);
  if (it == values_.end()) throw std::logic_error("no value of '" + std::string(name) + "'");
  return it->second;
}

std::vector<size_t> Task::others() const {
  std::vector<size_t> out;
  for (size_t i = 0; i < inputs; ++i) {
    if (static_cast<int>(i) != base) out.push_back(i);
  }
  return out;
}

}  // namespace lenswright
