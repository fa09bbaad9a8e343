#include "policies/cases/yaml_fields.h"

#include <algorithm>
#include <set>

namespace nom::policies {
namespace {

std::string Join(absl::string_view path, absl::string_view key) {
  return path.empty() ? std::string(key) : absl::StrCat(path, ".", key);
}

}  // namespace

// yaml-cpp counts lines from 0, and says -1 for a document that is not there.
absl::Status Wrong(const YAML::Node& node, absl::string_view path, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("line ", std::max(node.Mark().line, 0) + 1, ": ",
                                                 path.empty() ? "" : absl::StrCat(path, ": "),
                                                 what));
}

absl::Status ReadString(const YAML::Node& node, const std::string& path, std::string& out) {
  if (!node.IsScalar() || node.Scalar().empty()) return Wrong(node, path, "must be some text");
  out = node.Scalar();
  return absl::OkStatus();
}

absl::Status ReadMap(const YAML::Node& node, const std::string& path,
                     std::initializer_list<Field> fields) {
  if (!node.IsMap()) return Wrong(node, path, "must be a mapping");
  std::set<std::string> seen;
  for (const auto& entry : node) {
    if (!entry.first.IsScalar()) return Wrong(entry.first, path, "a key must be a word");
    const std::string& key = entry.first.Scalar();
    if (!seen.insert(key).second) return Wrong(entry.first, Join(path, key), "is here twice");
    const Field* found = nullptr;
    for (const Field& field : fields) {
      if (field.key == key) found = &field;
    }
    if (found == nullptr) return Wrong(entry.first, Join(path, key), "no such key");
    if (auto s = found->read(entry.second, Join(path, key)); !s.ok()) return s;
  }
  for (const Field& field : fields) {
    if (field.required && seen.count(std::string(field.key)) == 0) {
      return Wrong(node, Join(path, field.key), "is missing");
    }
  }
  return absl::OkStatus();
}

absl::Status ReadRange(const YAML::Node& node, const std::string& path, Range& out) {
  return ReadMap(node, path,
                 {{"min_units", true, Whole(out.min_units)},
                  {"max_units", true, Whole(out.max_units)},
                  {"value_at_min_microcredits", true, Whole(out.value_at_min_microcredits)},
                  {"unit_price_microcredits", true, Whole(out.unit_price_microcredits)}});
}

std::string ToText(const Range& range) {
  return absl::StrCat("{min_units: ", range.min_units, ", max_units: ", range.max_units,
                      ", value_at_min_microcredits: ", range.value_at_min_microcredits) +
         absl::StrCat(", unit_price_microcredits: ", range.unit_price_microcredits, "}");
}

std::string Quoted(const std::string& text) {
  std::string out = "'";
  for (char c : text) out += c == '\'' ? std::string("''") : std::string(1, c);
  return out + "'";
}

}  // namespace nom::policies
