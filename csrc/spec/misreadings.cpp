#include "spec/misreadings.h"

#include <stdexcept>

#include "base/error.h"
#include "spec/misreadings/lists.h"

namespace lenswright {
namespace {

const std::string kAside = "aside.";

bool ends(const Row& row, std::string_view ending) {
  return row.canonical.ends_with(ending) && !row.canonical.starts_with(kAside);
}

std::string with_ending(const std::string& name, std::string_view from, std::string_view to) {
  return name.substr(0, name.size() - from.size()) + std::string(to);
}

Misreadings all() {
  Misreadings list;
  for (Misreadings (*part)() :
       {position_misreadings, norm_misreadings, attention_misreadings, stream_misreadings,
        mlp_misreadings, mixture_misreadings, storage_misreadings}) {
    for (Misreading& one : part()) list.push_back(std::move(one));
  }
  return list;
}

}  // namespace

bool has_row(const std::vector<Row>& rows, std::string_view ending) {
  for (const Row& row : rows) {
    if (ends(row, ending)) return true;
  }
  return false;
}

void exchange(std::vector<Row>& rows, std::string_view first, std::string_view second) {
  for (Row& row : rows) {
    if (ends(row, first)) {
      row.canonical = with_ending(row.canonical, first, second);
    } else if (ends(row, second)) {
      row.canonical = with_ending(row.canonical, second, first);
    }
  }
}

void set_aside(std::vector<Row>& rows, std::string_view ending) {
  for (Row& row : rows) {
    if (ends(row, ending)) row.canonical = kAside + row.canonical;
  }
}

void take_back(std::vector<Row>& rows, std::string_view ending) {
  for (Row& row : rows) {
    const bool aside = row.canonical.starts_with(kAside) && row.canonical.ends_with(ending);
    if (aside) row.canonical = row.canonical.substr(kAside.size());
  }
}

bool is_aside(const std::vector<Row>& rows, std::string_view ending) {
  for (const Row& row : rows) {
    if (row.canonical.starts_with(kAside) && row.canonical.ends_with(ending)) return true;
  }
  return false;
}

const std::vector<Misreading>& misreadings() {
  static const std::vector<Misreading> list = all();
  return list;
}

std::vector<Misreading> misreadings(const Spec& spec) {
  Misreadings list = misreadings();
  for (Misreading& one : number_misreadings(spec)) list.push_back(std::move(one));
  return list;
}

Misreading misreading_of(std::string_view name, const Spec& spec) {
  std::vector<std::string> known;
  for (Misreading& one : misreadings(spec)) {
    known.push_back(one.name());
    if (known.back() == name) return std::move(one);
  }
  throw std::invalid_argument("misreading '" + std::string(name) + "' is not known" +
                              did_you_mean(name, known));
}

}  // namespace lenswright
