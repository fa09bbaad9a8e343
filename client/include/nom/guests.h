// SPDX-License-Identifier: Apache-2.0
// The nouns of guests that do not bid, and of guests that a tenant asks for. Plain values.
//
//   const auto guest = session->RequestGuest({.name = "worker", .image = "batch",
//                                             .seeds = {{nom::Resource::kMemory, 8}}}).Wait();
//   if (const auto shortage = nom::ShortageOf(guest.status())) {
//     std::cerr << shortage->free << " are free\n";   // nom/contracts.h
//   }

#ifndef NOM_GUESTS_H_
#define NOM_GUESTS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "nom/types.h"

namespace nom {

struct TierOptions {
  uint64_t guest_id = 0;  // 0: the only guest of the session.
  GuestTier wish = {};    // The tier is one of MarketStatus::tiers; the ceiling is above 0.
};

// A contract with which a guest is admitted: units that it can count on without knowing of prices.
struct GuestBundle {
  std::map<Resource, int64_t> units = {};  // Each is sold by contract on the host.
  int64_t rounds = 0;                      // After so many it is renewed, at the price of the day.
  int64_t ceiling_microcredits = 0;        // A round of it may cost that, now and at each renewal.

  friend bool operator==(const GuestBundle&, const GuestBundle&) = default;
};

struct GuestRequest {
  std::string name = "";       // [a-z0-9-]{1,31}, unique among the host's guests.
  std::string image = "";      // A file in the operator's image directory.
  std::string arguments = "";  // The guest's command line, up to 255 bytes.
  std::map<Resource, int64_t> seeds = {};
  int64_t memory_max_units = 0;  // The most it may ever hold; 0: what the host takes it to be.
  std::optional<GuestBundle> bundle = std::nullopt;
};

struct RequestedGuest {
  uint64_t guest_id = 0;
  uint64_t contract_id = 0;  // Of the bundle; 0: there is none.

  friend bool operator==(const RequestedGuest&, const RequestedGuest&) = default;
};

// What a tenant may have on the host by RequestGuest, and what it has, whoever admitted it.
struct GuestQuota {
  int64_t guests_max = 0;  // 0: it may not ask.
  int64_t guests = 0;      // Those that have ended among them.
  std::map<Resource, int64_t> seeds_max;
  std::map<Resource, int64_t> seeds;

  friend bool operator==(const GuestQuota&, const GuestQuota&) = default;
};

}  // namespace nom

#endif  // NOM_GUESTS_H_
