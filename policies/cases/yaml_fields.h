// SPDX-License-Identifier: Apache-2.0
// Strict reading of YAML into plain structs. Inside policies/cases only.
//
// Every error is INVALID_ARGUMENT with the line and the path of the field.

#ifndef NOM_POLICIES_CASES_YAML_FIELDS_H_
#define NOM_POLICIES_CASES_YAML_FIELDS_H_

#include <yaml-cpp/depthguard.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <charconv>
#include <functional>
#include <initializer_list>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "policies/bidding/range.h"

namespace nom::policies {

inline constexpr absl::string_view kBoundBys[] = {"reserve", "bids"};

absl::Status Wrong(const YAML::Node& node, absl::string_view path, absl::string_view what);
absl::Status ReadString(const YAML::Node& node, const std::string& path, std::string& out);
absl::Status ReadRange(const YAML::Node& node, const std::string& path, Range& out);
// On one line, as ReadRange reads it.
std::string ToText(const Range& range);
// `text` between quotes, on one line.
std::string Quoted(const std::string& text);

// Whole decimal numbers only, as they are usually written: no quotes, no zeros in front (which
// other readers take for octal), no sign for unsigned ones, no spaces, no other bases.
template <typename Integer>
absl::Status ReadInteger(const YAML::Node& node, const std::string& path, Integer& out) {
  if (!node.IsScalar()) return Wrong(node, path, "must be a whole number");
  const std::string& text = node.Scalar();
  // yaml-cpp's mark of a scalar that is not plain.
  if (node.Tag() == "!") return Wrong(node, path, "must be a whole number, without quotes");
  const std::errc error = std::from_chars(text.data(), text.data() + text.size(), out).ec;
  if (error == std::errc::result_out_of_range) {
    return Wrong(node, path, absl::StrCat(text, " does not fit in 64 bits"));
  }
  if (error != std::errc() || absl::StrCat(out) != text) {
    return Wrong(node, path, absl::StrCat("'", text, "' is not a whole number"));
  }
  return absl::OkStatus();
}

template <typename Enum, size_t kCount>
absl::Status ReadEnum(const YAML::Node& node, const std::string& path,
                      const absl::string_view (&names)[kCount], Enum& out) {
  std::string known;
  for (size_t i = 0; i < kCount; ++i) {
    if (node.IsScalar() && node.Scalar() == names[i]) {
      out = static_cast<Enum>(i);
      return absl::OkStatus();
    }
    absl::StrAppend(&known, i == 0 ? "" : ", ", names[i]);
  }
  return Wrong(node, path, absl::StrCat("must be one of ", known));
}

using Reader = std::function<absl::Status(const YAML::Node& node, const std::string& path)>;

struct Field {
  absl::string_view key;
  bool required;
  Reader read;
};

absl::Status ReadMap(const YAML::Node& node, const std::string& path,
                     std::initializer_list<Field> fields);

template <typename Item>
Reader ListOf(absl::Status (*read)(const YAML::Node&, const std::string&, Item&),
              std::vector<Item>& out) {
  return [read, &out](const YAML::Node& node, const std::string& path) -> absl::Status {
    if (!node.IsSequence()) return Wrong(node, path, "must be a list");
    out.clear();
    out.reserve(node.size());
    for (const YAML::Node& item : node) {
      out.emplace_back();
      if (auto s = read(item, absl::StrCat(path, "[", out.size() - 1, "]"), out.back()); !s.ok()) {
        return s;
      }
    }
    return absl::OkStatus();
  };
}

template <typename Integer>
Reader Whole(Integer& out) {
  return [&out](const YAML::Node& node, const std::string& path) {
    return ReadInteger(node, path, out);
  };
}

// Room for an auction of kBidsMax bids with kRangesMax ranges each.
inline constexpr size_t kTextBytesMax = 192 << 20;

// The one document of a text. Refused before anything is made of it: what is larger than
// kTextBytesMax or not UTF-8 (yaml-cpp would read UTF-16, too), a second document, tags, and
// anchors and aliases, with which a short text says something large. yaml-cpp throws; this is the
// only place that knows. Errors: INVALID_ARGUMENT with the line.
absl::StatusOr<YAML::Node> LoadOne(const std::string& text);

template <typename T>
absl::StatusOr<T> Parse(const std::string& text,
                        absl::Status (*read)(const YAML::Node&, const std::string&, T&)) {
  const absl::StatusOr<YAML::Node> root = LoadOne(text);
  if (!root.ok()) return root.status();
  T out;
  if (auto s = read(*root, "", out); !s.ok()) return s;
  return out;
}

}  // namespace nom::policies

#endif  // NOM_POLICIES_CASES_YAML_FIELDS_H_
