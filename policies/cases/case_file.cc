#include "policies/cases/case_file.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <functional>
#include <initializer_list>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace nom::policies {
namespace {

constexpr absl::string_view kMethods[] = {"exact", "coarser", "greedy", "repeat_last"};
constexpr absl::string_view kBoundBys[] = {"reserve", "bids"};

// yaml-cpp counts lines from 0, and says -1 for a document that is not there.
absl::Status Wrong(const YAML::Node& node, absl::string_view path, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("line ", std::max(node.Mark().line, 0) + 1, ": ",
                                                 path.empty() ? "" : absl::StrCat(path, ": "),
                                                 what));
}

std::string Join(absl::string_view path, absl::string_view key) {
  return path.empty() ? std::string(key) : absl::StrCat(path, ".", key);
}

// Whole decimal numbers only: no sign for unsigned ones, no spaces, no other bases.
template <typename Integer>
absl::Status ReadInteger(const YAML::Node& node, const std::string& path, Integer& out) {
  if (!node.IsScalar()) return Wrong(node, path, "must be a whole number");
  const std::string& text = node.Scalar();
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, out);
  if (error == std::errc::result_out_of_range) {
    return Wrong(node, path, absl::StrCat(text, " does not fit in 64 bits"));
  }
  if (error != std::errc() || rest != end) {
    return Wrong(node, path, absl::StrCat("'", text, "' is not a whole number"));
  }
  return absl::OkStatus();
}

absl::Status ReadString(const YAML::Node& node, const std::string& path, std::string& out) {
  if (!node.IsScalar() || node.Scalar().empty()) return Wrong(node, path, "must be some text");
  out = node.Scalar();
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

absl::Status ReadRange(const YAML::Node& node, const std::string& path, Range& out) {
  return ReadMap(node, path,
                 {{"min_units", true, Whole(out.min_units)},
                  {"max_units", true, Whole(out.max_units)},
                  {"value_at_min_microcredits", true, Whole(out.value_at_min_microcredits)},
                  {"unit_price_microcredits", true, Whole(out.unit_price_microcredits)}});
}

absl::Status ReadBid(const YAML::Node& node, const std::string& path, Bid& out) {
  return ReadMap(node, path,
                 {{"guest_id", true, Whole(out.guest_id)},
                  {"held_units", false, Whole(out.held_units)},
                  {"ranges", true, ListOf(&ReadRange, out.ranges)}});
}

absl::Status ReadAuction(const YAML::Node& node, const std::string& path, Auction& out) {
  return ReadMap(
      node, path,
      {{"capacity_units", true, Whole(out.capacity_units)},
       {"reserve_unit_price_microcredits", false, Whole(out.reserve_unit_price_microcredits)},
       {"reclaim_penalty_microcredits", false, Whole(out.reclaim_penalty_microcredits)},
       {"seed", true, Whole(out.seed)},
       {"bids", true, ListOf(&ReadBid, out.bids)}});
}

absl::Status ReadAward(const YAML::Node& node, const std::string& path, Award& out) {
  return ReadMap(node, path,
                 {{"guest_id", true, Whole(out.guest_id)},
                  {"units", true, Whole(out.units)},
                  {"charge_microcredits", true, Whole(out.charge_microcredits)}});
}

// `rule` and `error` are null where only a clearing may stand.
absl::Status ReadOutcome(const YAML::Node& node, const std::string& path, Clearing& out,
                         std::string* rule, std::string* error) {
  bool has_bound = false;
  const bool must = error == nullptr || !node.IsMap() || !node["error"];
  auto text = [](std::string* to) -> Reader {
    return [to](const YAML::Node& n, const std::string& p) -> absl::Status {
      return to == nullptr ? Wrong(n, p, "no such key") : ReadString(n, p, *to);
    };
  };
  auto only_without_error = [must](Reader read) -> Reader {
    return [must, read = std::move(read)](const YAML::Node& n, const std::string& p) {
      return must ? read(n, p) : Wrong(n, p, "does not go with error");
    };
  };
  auto s = ReadMap(
      node, path,
      {{"rule", rule != nullptr, text(rule)},
       {"error", false, text(error)},
       {"awards", must, only_without_error(ListOf(&ReadAward, out.awards))},
       {"clearing_unit_price_microcredits", must,
        only_without_error(Whole(out.clearing_unit_price_microcredits))},
       {"highest_rejected_unit_price_microcredits", must,
        only_without_error(Whole(out.highest_rejected_unit_price_microcredits))},
       {"bound_by", must, only_without_error([&](const YAML::Node& n, const std::string& p) {
          return ReadEnum(n, p, kBoundBys, out.bound_by);
        })},
       {"welfare_microcredits", must, only_without_error(Whole(out.welfare_microcredits))},
       {"welfare_bound_microcredits", false,
        only_without_error([&](const YAML::Node& n, const std::string& p) {
          has_bound = true;
          return ReadInteger(n, p, out.welfare_bound_microcredits);
        })},
       {"method", false, only_without_error([&](const YAML::Node& n, const std::string& p) {
          return ReadEnum(n, p, kMethods, out.method);
        })}});
  if (s.ok() && !has_bound) out.welfare_bound_microcredits = out.welfare_microcredits;
  return s;
}

absl::Status ReadClearing(const YAML::Node& node, const std::string& path, Clearing& out) {
  return ReadOutcome(node, path, out, nullptr, nullptr);
}

absl::Status ReadExpectation(const YAML::Node& node, const std::string& path, Expectation& out) {
  return ReadOutcome(node, path, out.clearing, &out.rule, &out.error);
}

absl::Status ReadCase(const YAML::Node& node, const std::string& path, Case& out) {
  return ReadMap(
      node, path,
      {{"shows", true,
        [&](const YAML::Node& n, const std::string& p) { return ReadString(n, p, out.shows); }},
       {"auction", true,
        [&](const YAML::Node& n, const std::string& p) { return ReadAuction(n, p, out.auction); }},
       {"expect", true, ListOf(&ReadExpectation, out.expect)}});
}

// yaml-cpp throws; this is the only place that knows.
template <typename T>
absl::StatusOr<T> Parse(const std::string& text,
                        absl::Status (*read)(const YAML::Node&, const std::string&, T&)) {
  try {
    const YAML::Node root = YAML::Load(text);
    T out;
    if (auto s = read(root, "", out); !s.ok()) return s;
    return out;
  } catch (const YAML::Exception& e) {
    return absl::InvalidArgumentError(absl::StrCat("line ", e.mark.line + 1, ": ", e.msg));
  }
}

void AppendAuction(absl::string_view indent, const Auction& auction, std::string& out) {
  absl::StrAppend(&out, indent, "capacity_units: ", auction.capacity_units, "\n", indent,
                  "reserve_unit_price_microcredits: ", auction.reserve_unit_price_microcredits,
                  "\n", indent,
                  "reclaim_penalty_microcredits: ", auction.reclaim_penalty_microcredits, "\n");
  absl::StrAppend(&out, indent, "seed: ", auction.seed, "\n", indent,
                  auction.bids.empty() ? "bids: []\n" : "bids:\n");
  for (const Bid& bid : auction.bids) {
    absl::StrAppend(&out, indent, "  - guest_id: ", bid.guest_id, "\n", indent,
                    "    held_units: ", bid.held_units, "\n");
    absl::StrAppend(&out, indent, bid.ranges.empty() ? "    ranges: []\n" : "    ranges:\n");
    for (const Range& r : bid.ranges) {
      absl::StrAppend(&out, indent, "      - {min_units: ", r.min_units,
                      ", max_units: ", r.max_units);
      absl::StrAppend(&out, ", value_at_min_microcredits: ", r.value_at_min_microcredits,
                      ", unit_price_microcredits: ", r.unit_price_microcredits, "}\n");
    }
  }
}

void AppendClearing(absl::string_view indent, const Clearing& clearing, std::string& out) {
  absl::StrAppend(&out, indent, clearing.awards.empty() ? "awards: []\n" : "awards:\n");
  for (const Award& a : clearing.awards) {
    absl::StrAppend(&out, indent, "  - {guest_id: ", a.guest_id, ", units: ", a.units);
    absl::StrAppend(&out, ", charge_microcredits: ", a.charge_microcredits, "}\n");
  }
  absl::StrAppend(&out, indent,
                  "clearing_unit_price_microcredits: ", clearing.clearing_unit_price_microcredits,
                  "\n");
  absl::StrAppend(&out, indent, "highest_rejected_unit_price_microcredits: ",
                  clearing.highest_rejected_unit_price_microcredits, "\n");
  absl::StrAppend(&out, indent, "bound_by: ", kBoundBys[static_cast<size_t>(clearing.bound_by)],
                  "\n", indent, "welfare_microcredits: ", clearing.welfare_microcredits, "\n");
  absl::StrAppend(&out, indent, "welfare_bound_microcredits: ", clearing.welfare_bound_microcredits,
                  "\n", indent, "method: ", kMethods[static_cast<size_t>(clearing.method)], "\n");
}

std::string Quoted(const std::string& text) {
  std::string out = "'";
  for (char c : text) out += c == '\'' ? std::string("''") : std::string(1, c);
  return out + "'";
}

}  // namespace

std::string ToText(const Auction& auction) {
  std::string out;
  AppendAuction("", auction, out);
  return out;
}

std::string ToText(const Clearing& clearing) {
  std::string out;
  AppendClearing("", clearing, out);
  return out;
}

std::string ToText(const Case& c) {
  std::string out = absl::StrCat("shows: ", Quoted(c.shows), "\nauction:\n");
  AppendAuction("  ", c.auction, out);
  out += c.expect.empty() ? "expect: []\n" : "expect:\n";
  for (const Expectation& expectation : c.expect) {
    absl::StrAppend(&out, "  - rule: ", expectation.rule, "\n");
    if (!expectation.error.empty()) {
      absl::StrAppend(&out, "    error: ", Quoted(expectation.error), "\n");
    } else {
      AppendClearing("    ", expectation.clearing, out);
    }
  }
  return out;
}

absl::StatusOr<Auction> ParseAuction(const std::string& text) { return Parse(text, &ReadAuction); }

absl::StatusOr<Clearing> ParseClearing(const std::string& text) {
  return Parse(text, &ReadClearing);
}

absl::StatusOr<Case> ParseCase(const std::string& text) { return Parse(text, &ReadCase); }

}  // namespace nom::policies
