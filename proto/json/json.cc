// SPDX-License-Identifier: Apache-2.0
#include "proto/json/json.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/timestamp.pb.h"

namespace nom {
namespace {

using google::protobuf::EnumDescriptor;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// "BOUND_BY_RESERVE" of the enum BoundBy is "reserve": what follows the name that all of its values
// begin with, which is the zero value's less "UNSPECIFIED".
std::string EnumWord(const EnumDescriptor& type, int number) {
  const EnumValueDescriptor* value = type.FindValueByNumber(number);
  if (value == nullptr) return absl::StrCat(number);  // Of a market newer than this program.
  absl::string_view prefix = type.value(0)->name();
  absl::ConsumeSuffix(&prefix, "UNSPECIFIED");
  return absl::AsciiStrToLower(absl::StripPrefix(value->name(), prefix));
}

class Printer {
 public:
  explicit Printer(bool one_line) : one_line_(one_line) {}

  void Print(const Message& message) {
    if (message.GetDescriptor() == google::protobuf::Timestamp::descriptor()) {
      const auto& time = static_cast<const google::protobuf::Timestamp&>(message);
      text_ += JsonText(
          absl::FormatTime("%Y-%m-%dT%H:%M:%E*SZ",
                           absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos()),
                           absl::UTCTimeZone()));
      return;
    }
    const Reflection& reflection = *message.GetReflection();
    Open('{');
    for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
      const FieldDescriptor& field = *message.GetDescriptor()->field(i);
      if (field.has_presence() && !reflection.HasField(message, &field)) continue;
      Next();
      text_ += absl::StrCat(JsonText(field.name()), ": ");
      if (!field.is_repeated()) {
        PrintValue(message, reflection, field, -1);
        continue;
      }
      Open('[');
      for (int index = 0; index < reflection.FieldSize(message, &field); ++index) {
        Next();
        PrintValue(message, reflection, field, index);
      }
      Close(']');
    }
    Close('}');
  }

  std::string Take() { return std::move(text_); }

 private:
  // `index`: -1 for a field that is not repeated.
  void PrintValue(const Message& message, const Reflection& reflection,
                  const FieldDescriptor& field, int index) {
    const auto get = [&](auto one, auto of_many) {
      return index < 0 ? (reflection.*one)(message, &field)
                       : (reflection.*of_many)(message, &field, index);
    };
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT32:
        text_ += absl::StrCat(get(&Reflection::GetInt32, &Reflection::GetRepeatedInt32));
        break;
      case FieldDescriptor::CPPTYPE_INT64:
        text_ += absl::StrCat(get(&Reflection::GetInt64, &Reflection::GetRepeatedInt64));
        break;
      case FieldDescriptor::CPPTYPE_UINT32:
        text_ += absl::StrCat(get(&Reflection::GetUInt32, &Reflection::GetRepeatedUInt32));
        break;
      case FieldDescriptor::CPPTYPE_UINT64:
        text_ += absl::StrCat(get(&Reflection::GetUInt64, &Reflection::GetRepeatedUInt64));
        break;
      case FieldDescriptor::CPPTYPE_DOUBLE:
        text_ +=
            absl::StrFormat("%.17g", get(&Reflection::GetDouble, &Reflection::GetRepeatedDouble));
        break;
      case FieldDescriptor::CPPTYPE_FLOAT:
        text_ += absl::StrFormat("%.9g", get(&Reflection::GetFloat, &Reflection::GetRepeatedFloat));
        break;
      case FieldDescriptor::CPPTYPE_BOOL:
        text_ += get(&Reflection::GetBool, &Reflection::GetRepeatedBool) ? "true" : "false";
        break;
      case FieldDescriptor::CPPTYPE_ENUM:
        text_ += JsonText(EnumWord(
            *field.enum_type(), get(&Reflection::GetEnumValue, &Reflection::GetRepeatedEnumValue)));
        break;
      case FieldDescriptor::CPPTYPE_STRING:
        text_ += JsonText(get(&Reflection::GetString, &Reflection::GetRepeatedString));
        break;
      case FieldDescriptor::CPPTYPE_MESSAGE:
        Print(index < 0 ? reflection.GetMessage(message, &field)
                        : reflection.GetRepeatedMessage(message, &field, index));
        break;
    }
  }

  void Open(char bracket) {
    text_ += bracket;
    ++depth_;
    empty_ = true;
  }
  void Close(char bracket) {
    --depth_;
    if (!empty_) Break();
    text_ += bracket;
    empty_ = false;
  }
  // In front of each field or element.
  void Next() {
    if (!empty_) text_ += one_line_ ? ", " : ",";
    Break();
    empty_ = false;
  }
  void Break() {
    if (one_line_) return;
    text_ += '\n';
    text_.append(static_cast<size_t>(depth_), ' ');
  }

  const bool one_line_;
  std::string text_;
  int depth_ = 0;
  bool empty_ = true;  // Nothing stands in the innermost bracket yet.
};

}  // namespace

std::string ToJson(const Message& message, bool one_line) {
  Printer printer(one_line);
  printer.Print(message);
  return printer.Take();
}

std::string JsonText(absl::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20) {
      absl::StrAppendFormat(&out, "\\u%04x", byte);
    } else {
      out += c;
    }
  }
  return out + '"';
}

}  // namespace nom
