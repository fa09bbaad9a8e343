// SPDX-License-Identifier: Apache-2.0
#include "policies/cases/yaml_fields.h"

#include <algorithm>
#include <set>
#include <sstream>

#include "absl/strings/match.h"

namespace nom::policies {
namespace {

std::string Join(absl::string_view path, absl::string_view key) {
  return path.empty() ? std::string(key) : absl::StrCat(path, ".", key);
}

absl::Status WrongLine(int line, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("line ", std::max(line, 0) + 1, ": ", what));
}

// How many bytes the character at `at` has; 0: it is not UTF-8 (RFC 3629), or a NUL.
size_t CharacterBytes(absl::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[at + i]); };
  if (byte(0) < 0x80) return byte(0) == 0 ? 0 : 1;
  const size_t bytes = byte(0) < 0xc2 ? 0 : byte(0) < 0xe0 ? 2 : byte(0) < 0xf0 ? 3 : 4;
  if (bytes == 0 || byte(0) > 0xf4 || at + bytes > text.size()) return 0;
  for (size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  const bool is_too_long =
      (byte(0) == 0xe0 && byte(1) < 0xa0) || (byte(0) == 0xf0 && byte(1) < 0x90);
  const bool is_surrogate = byte(0) == 0xed && byte(1) > 0x9f;
  const bool is_beyond = byte(0) == 0xf4 && byte(1) > 0x8f;
  return is_too_long || is_surrogate || is_beyond ? 0 : bytes;
}

absl::Status CheckUtf8(absl::string_view text) {
  int line = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t bytes = CharacterBytes(text, at);
    if (bytes == 0) return WrongLine(line, "is not UTF-8 text");
    line += text[at] == '\n';
    at += bytes;
  }
  return absl::OkStatus();
}

// Goes through a text without making anything of it, and throws at what is refused.
class Refuse : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1) throw YAML::ParserException(mark, "a second document is not taken");
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { Check(mark, "", anchor); }
  // Of an anchor, which was refused before it; of none, the parser refuses it.
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string&) override {
    Check(mark, tag, anchor);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Check(mark, tag, anchor);
  }
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Check(mark, tag, anchor);
  }
  void OnMapEnd() override {}

 private:
  // "?" is what is plain, "!" what is quoted: both are no tags of the text's own.
  static void Check(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    if (anchor != YAML::NullAnchor) throw YAML::ParserException(mark, "an anchor is not taken");
    if (!tag.empty() && tag != "?" && tag != "!") {
      throw YAML::ParserException(mark, absl::StrCat("a tag is not taken: ", tag));
    }
  }

  int documents_ = 0;
};

// Whether there is anything in it that Refuse might refuse: most texts are read once only. (For
// yaml-cpp a document never begins after a carriage return alone.)
bool MayBeRefused(const std::string& text) {
  return text.find_first_of("&!") != std::string::npos || absl::StrContains(text, "\n---") ||
         absl::StrContains(text, "\n...");
}

}  // namespace

absl::StatusOr<YAML::Node> LoadOne(const std::string& text) {
  if (text.size() > kTextBytesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("a text of ", text.size(), " bytes, more than ", kTextBytesMax));
  }
  if (auto s = CheckUtf8(text); !s.ok()) return s;
  try {
    if (MayBeRefused(text)) {
      std::istringstream stream(text);
      YAML::Parser parser(stream);
      Refuse refuse;
      while (parser.HandleNextDocument(refuse)) {
      }
    }
    return YAML::Load(text);
  } catch (const YAML::DeepRecursion& e) {
    return WrongLine(e.mark.line, "is nested too deeply");
  } catch (const YAML::Exception& e) {
    return WrongLine(e.mark.line, e.msg);
  }
}

// yaml-cpp counts lines from 0, and says -1 for a document that is not there.
absl::Status Wrong(const YAML::Node& node, absl::string_view path, absl::string_view what) {
  return WrongLine(node.Mark().line,
                   absl::StrCat(path.empty() ? "" : absl::StrCat(path, ": "), what));
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
  const auto is_control = [](char c) { return (c >= 0 && c < ' ') || c == '\x7f'; };
  if (std::any_of(text.begin(), text.end(), is_control)) {
    std::string out = "\"";
    for (char c : text) {
      if (is_control(c)) {
        absl::StrAppend(&out, "\\x", absl::Hex(static_cast<uint8_t>(c), absl::kZeroPad2));
      } else {
        absl::StrAppend(&out, c == '"' || c == '\\' ? "\\" : "", std::string(1, c));
      }
    }
    return out + "\"";
  }
  std::string out = "'";
  for (char c : text) out += c == '\'' ? std::string("''") : std::string(1, c);
  return out + "'";
}

}  // namespace nom::policies
