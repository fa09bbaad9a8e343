// SPDX-License-Identifier: Apache-2.0
#include "marketd/config/yaml_reader.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace nom::marketd {
namespace {

absl::string_view TypeName(const YAML::Node& node) {
  switch (node.Type()) {
    case YAML::NodeType::Map:
      return "a map";
    case YAML::NodeType::Sequence:
      return "a list";
    case YAML::NodeType::Scalar:
      return "a scalar";
    case YAML::NodeType::Null:
    case YAML::NodeType::Undefined:
      break;
  }
  return "nothing";
}

// Quoted scalars carry the tag "!": text by the writer's own word.
bool IsQuoted(const YAML::Node& node) { return node.Tag() == "!"; }

}  // namespace

void YamlErrors::Add(const YAML::Mark& mark, absl::string_view key_path, absl::string_view what) {
  const int line = std::max(mark.line, 0) + 1;
  const int column = std::max(mark.column, 0) + 1;
  errors_.push_back({line, column,
                     absl::StrCat(file_name_, ":", line, ":", column, ": ", key_path,
                                  key_path.empty() ? "" : ": ", what)});
}

std::string YamlErrors::Text() const {
  std::vector<Error> sorted = errors_;
  std::stable_sort(sorted.begin(), sorted.end(), [](const Error& a, const Error& b) {
    return std::pair(a.line, a.column) < std::pair(b.line, b.column);
  });
  return absl::StrJoin(sorted, "\n",
                       [](std::string* out, const Error& error) { out->append(error.text); });
}

MapReader::MapReader(const YAML::Node& node, std::string path, YamlErrors* errors)
    : node_(node), path_(std::move(path)), errors_(errors) {
  if (!node.IsMap()) {
    errors_->Add(node.Mark(), path_, absl::StrCat("must be a map, is ", TypeName(node)));
    return;
  }
  is_map_ = true;
  for (const auto& pair : node) {
    if (!pair.first.IsScalar()) {
      errors_->Add(pair.first.Mark(), path_, "a key must be a plain word");
      continue;
    }
    const std::string& name = pair.first.Scalar();
    const bool twice = std::any_of(entries_.begin(), entries_.end(),
                                   [&](const auto& entry) { return entry.first == name; });
    if (twice) {
      errors_->Add(pair.first.Mark(), PathOf(name), "given twice");
      continue;
    }
    entries_.push_back({name, Entry{pair.first, pair.second}});
  }
}

std::string MapReader::PathOf(const std::string& key) const {
  return path_.empty() ? key : absl::StrCat(path_, ".", key);
}

const YAML::Node* MapReader::Find(const std::string& key, Need need) {
  known_.push_back(key);
  if (!is_map_) return nullptr;
  for (auto& [name, entry] : entries_) {
    if (name != key) continue;
    entry.asked = true;
    return &entry.value;
  }
  if (need == Need::kRequired) errors_->Add(node_.Mark(), PathOf(key), "missing");
  return nullptr;
}

const YAML::Node* MapReader::FindScalar(const std::string& key, Need need,
                                        absl::string_view wanted) {
  const YAML::Node* value = Find(key, need);
  if (value == nullptr) return nullptr;
  if (!value->IsScalar()) {
    errors_->Add(value->Mark(), PathOf(key),
                 absl::StrCat("must be ", wanted, ", is ", TypeName(*value)));
    return nullptr;
  }
  return value;
}

bool MapReader::String(const std::string& key, Need need, std::string* out) {
  const YAML::Node* value = FindScalar(key, need, "text");
  if (value == nullptr) return false;
  if (value->Scalar().empty()) {
    errors_->Add(value->Mark(), PathOf(key), "must not be empty");
    return false;
  }
  *out = value->Scalar();
  return true;
}

bool MapReader::Bool(const std::string& key, Need need, bool* out) {
  const YAML::Node* value = FindScalar(key, need, "true or false");
  if (value == nullptr) return false;
  if (IsQuoted(*value) || (value->Scalar() != "true" && value->Scalar() != "false")) {
    errors_->Add(value->Mark(), PathOf(key),
                 absl::StrCat("must be true or false, is \"", value->Scalar(), "\""));
    return false;
  }
  *out = value->Scalar() == "true";
  return true;
}

bool MapReader::Int(const std::string& key, Need need, int64_t min, int64_t max, int64_t* out) {
  const YAML::Node* value = FindScalar(key, need, "a whole number");
  if (value == nullptr) return false;
  const std::string& text = value->Scalar();
  const size_t sign = !text.empty() && text[0] == '-' ? 1 : 0;
  const bool digits =
      text.size() > sign && text.find_first_not_of("0123456789", sign) == std::string::npos;
  if (IsQuoted(*value) || !digits) {
    errors_->Add(value->Mark(), PathOf(key),
                 absl::StrCat("must be a whole number, is \"", text, "\""));
    return false;
  }
  int64_t number = 0;
  if (!absl::SimpleAtoi(text, &number) || number < min || number > max) {
    errors_->Add(value->Mark(), PathOf(key),
                 absl::StrCat("must be from ", min, " to ", max, ", is ", text));
    return false;
  }
  *out = number;
  return true;
}

bool MapReader::OneOf(const std::string& key, Need need, const std::vector<std::string>& names,
                      size_t* out) {
  const std::string wanted = absl::StrCat("one of ", absl::StrJoin(names, ", "));
  const YAML::Node* value = FindScalar(key, need, wanted);
  if (value == nullptr) return false;
  const auto found = std::find(names.begin(), names.end(), value->Scalar());
  if (found == names.end()) {
    errors_->Add(value->Mark(), PathOf(key),
                 absl::StrCat("must be ", wanted, ", is \"", value->Scalar(), "\""));
    return false;
  }
  *out = static_cast<size_t>(found - names.begin());
  return true;
}

bool MapReader::List(const std::string& key, Need need, size_t size_min,
                     std::vector<YAML::Node>* out) {
  const YAML::Node* value = Find(key, need);
  if (value == nullptr) return false;
  if (!value->IsSequence()) {
    errors_->Add(value->Mark(), PathOf(key), absl::StrCat("must be a list, is ", TypeName(*value)));
    return false;
  }
  if (value->size() < size_min) {
    errors_->Add(value->Mark(), PathOf(key),
                 absl::StrCat("needs at least ", size_min, size_min == 1 ? " entry" : " entries"));
    return false;
  }
  out->clear();
  for (const YAML::Node& member : *value) out->push_back(member);
  return true;
}

bool MapReader::Map(const std::string& key, Need need, YAML::Node* out) {
  const YAML::Node* value = Find(key, need);
  if (value == nullptr) return false;
  out->reset(*value);
  return true;
}

void MapReader::Complain(const std::string& key, absl::string_view what) {
  for (const auto& [name, entry] : entries_) {
    if (name != key) continue;
    errors_->Add(entry.value.Mark(), PathOf(key), what);
    return;
  }
  errors_->Add(node_.Mark(), PathOf(key), what);
}

void MapReader::Finish() {
  for (const auto& [name, entry] : entries_) {
    if (entry.asked) continue;
    errors_->Add(entry.key.Mark(), PathOf(name),
                 absl::StrCat("unknown key; known here: ", absl::StrJoin(known_, ", ")));
  }
}

}  // namespace nom::marketd
