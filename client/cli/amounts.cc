// SPDX-License-Identifier: Apache-2.0
#include "client/cli/amounts.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "client/cli/bid_syntax.h"
#include "client/cli/commands.h"
#include "client/cli/names.h"
#include "client/cli/pages.h"
#include "nom/types.h"
#include "policies/units/quantity.h"

namespace nom::cli {
namespace {

namespace pb = market::v1;

// Units of a resource as they were typed: counts, or amounts that need the host's unit sizes.
struct Amount {
  Resource resource = Resource::kMemory;
  int64_t units = 0;
  std::string text;  // "10MiB"; empty: `units` is what was typed.
};

absl::StatusOr<Amount> ParseAmount(absl::string_view text) {
  const std::vector<absl::string_view> halves = absl::StrSplit(text, absl::MaxSplits('=', 1));
  if (halves.size() == 2 && halves[1].find_first_not_of("0123456789") != absl::string_view::npos &&
      !absl::StartsWith(halves[1], "-")) {
    absl::StatusOr<Resource> resource = ParseResourceArgument(halves[0]);
    if (!resource.ok()) return resource.status();
    return Amount{*resource, 0, std::string(halves[1])};
  }
  absl::StatusOr<std::pair<Resource, int64_t>> count = ParseQuantity(text);
  if (!count.ok()) return count.status();
  return Amount{count->first, count->second, ""};
}

absl::StatusOr<policies::Measure> MeasureOf(Resource resource) {
  switch (resource) {
    case Resource::kMemory:
      return policies::Measure::kBytes;
    case Resource::kCpu:
      return policies::Measure::kMillicores;
    case Resource::kNetwork:
      return policies::Measure::kMegabitsPerSecond;
    case Resource::kDisk:
      return policies::Measure::kRequestsPerSecond;
    default:
      return absl::InvalidArgumentError(
          absl::StrCat(ResourceName(resource), " is given as a count of units"));
  }
}

// Of the host that the watch is of, by its first response.
absl::StatusOr<UnitSizes> Ask(Connection& connection, const pb::WatchRequest& request) {
  const absl::StatusOr<pb::WatchResponse> now = ReadWatchOnce(connection, request);
  if (!now.ok()) return now.status();
  UnitSizes sizes;
  for (const pb::ResourceInfo& info : now->state().resources()) {
    sizes[info.kind()] = info.unit_size();
  }
  return sizes;
}

absl::StatusOr<int64_t> InUnits(const Amount& amount, const UnitSizes& sizes) {
  const absl::StatusOr<policies::Measure> measure = MeasureOf(amount.resource);
  if (!measure.ok()) return measure.status();
  const absl::StatusOr<int64_t> base = policies::ParseQuantity(amount.text, *measure);
  if (!base.ok()) return base.status();
  const auto size = sizes.find(client::ToProto(amount.resource));
  if (size == sizes.end() || size->second <= 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(ResourceName(amount.resource), " is not sold on the guest's host"));
  }
  if (*base % size->second != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        ResourceName(amount.resource), "=", amount.text, " is no whole number of units; one is ",
        policies::FormatQuantity(size->second, *measure)));
  }
  return *base / size->second;
}

}  // namespace

absl::StatusOr<UnitSizes> UnitSizesOfHost(Connection& connection, const std::string& host_id) {
  pb::WatchRequest request;
  request.set_host_id(host_id);
  return Ask(connection, request);
}

absl::StatusOr<UnitSizes> UnitSizesOfGuest(Connection& connection, uint64_t guest_id) {
  pb::ListGuestsResponse guests;
  if (absl::Status status = ListAllGuests(connection, {}, &guests); !status.ok()) return status;
  const auto guest = std::find_if(guests.guests().begin(), guests.guests().end(),
                                  [&](const auto& each) { return each.guest_id() == guest_id; });
  if (guest == guests.guests().end()) {
    return absl::NotFoundError(absl::StrCat("you have no guest ", guest_id));
  }
  pb::WatchRequest request;
  request.set_host_id(guest->host_id());
  request.add_guest_ids(guest_id);
  return Ask(connection, request);
}

absl::Status ReadQuantities(const std::string& text,
                            const std::function<absl::StatusOr<UnitSizes>()>& sizes,
                            google::protobuf::RepeatedPtrField<pb::Quantity>* quantities) {
  std::vector<Amount> amounts;  // All are read before anything is asked.
  for (const absl::string_view piece : absl::StrSplit(text, ',')) {
    absl::StatusOr<Amount> amount = ParseAmount(piece);
    if (!amount.ok()) return UsageError(amount.status());
    amounts.push_back(*std::move(amount));
  }
  std::optional<UnitSizes> told;
  for (Amount& amount : amounts) {
    if (!amount.text.empty()) {
      if (!told) {
        absl::StatusOr<UnitSizes> asked = sizes();
        if (!asked.ok()) return asked.status();
        told = *std::move(asked);
      }
      const absl::StatusOr<int64_t> units = InUnits(amount, *told);
      if (!units.ok()) return UsageError(units.status());
      amount.units = *units;
    }
    pb::Quantity* const quantity = quantities->Add();
    quantity->set_kind(client::ToProto(amount.resource));
    quantity->set_units(amount.units);
  }
  return absl::OkStatus();
}

std::string QuantitiesText(const google::protobuf::RepeatedPtrField<pb::Quantity>& quantities) {
  return absl::StrJoin(quantities, ",", [](std::string* out, const pb::Quantity& quantity) {
    absl::StrAppend(out, KindName(quantity.kind()), "=", quantity.units());
  });
}

}  // namespace nom::cli
