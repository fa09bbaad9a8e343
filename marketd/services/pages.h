// SPDX-License-Identifier: Apache-2.0
// Lists in pages that any client takes: bounded by bytes, whatever number of members was asked for.

#ifndef MARKETD_SERVICES_PAGES_H_
#define MARKETD_SERVICES_PAGES_H_

#include <cstddef>
#include <functional>
#include <set>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "marketd/market/event.h"
#include "marketd/market/ledger.h"
#include "marketd/market/view.h"
#include "nom/market/v1/market.pb.h"
#include "nom/operators/v1/operators.pb.h"

namespace nom::marketd {

// Where a page ends: well below the 4 MiB that gRPC clients take if they are told nothing else.
inline constexpr size_t kPageBytesMax = size_t{1} << 20;

// The newest `count` rounds below one (0: the newest of all), newest first.
using ReadRounds =
    std::function<absl::StatusOr<std::vector<market::Round>>(market::RoundId below, int count)>;

// Fills a page with at most `page_size` rounds below `before`, newest first, at least one if there
// is one, and says where the next page begins if there are more. Errors: those of `read`.
absl::Status AddRounds(const ReadRounds& read, market::RoundId before, int page_size,
                       const market::Caller& caller, bool border,
                       nom::market::v1::ListRoundsResponse* response);

// What a page of prices is of, checked. The host is still to be named.
struct PricesAsked {
  market::PricesWanted wanted;
  std::set<market::ResourceKind> kinds;  // Empty: all.
  int page_size = 0;
};
// Errors: INVALID_ARGUMENT naming the field.
absl::StatusOr<PricesAsked> FromProto(const nom::market::v1::ListPricesRequest& request);

// The rounds that a ledger has of those wanted; see LedgerReader.
using ReadPrices =
    std::function<absl::StatusOr<std::vector<market::Round>>(const market::PricesWanted& wanted)>;

// Fills a page, and says where the next begins if there are more. Errors: those of `read`.
absl::Status AddPrices(const ReadPrices& read, const PricesAsked& asked,
                       nom::market::v1::ListPricesResponse* response);

// Whether a caller may see a guest.
bool Owns(const market::Caller& caller, const market::Guest& guest);

// The caller's guests above one, by rising id, on a host or (if it is empty) on all; at most
// `page_size` (0: as many as there may be), and where the next page begins if there are more.
// Errors: NOT_FOUND (no such host), INVALID_ARGUMENT (page_size).
absl::Status AddGuests(const market::View& view, const market::Caller& caller,
                       const market::HostId& host_id, market::GuestId after, int page_size,
                       nom::market::v1::ListGuestsResponse* response);

// Tenants and their accounts above one, by rising id, and where the next page begins if there are
// more.
void AddTenants(const market::View& view, const market::TenantId& after,
                nom::operators::v1::ListTenantsResponse* response);

}  // namespace nom::marketd

#endif  // MARKETD_SERVICES_PAGES_H_
