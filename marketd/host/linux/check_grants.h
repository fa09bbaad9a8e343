// SPDX-License-Identifier: Apache-2.0
// Whether a guest can be admitted and a round put in force: before anything is changed, pure.

#ifndef MARKETD_HOST_LINUX_CHECK_GRANTS_H_
#define MARKETD_HOST_LINUX_CHECK_GRANTS_H_

#include <map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "marketd/host/linux/amounts.h"
#include "marketd/host/linux/machine.h"
#include "marketd/host/linux/recipe.h"
#include "marketd/host/linux/state_file.h"
#include "marketd/market/host.h"

namespace nom::market {

// What the guests of a record hold together.
Amounts GrantedBy(const HostRecord& record);

// The recipe that `spec` names, if it may be started with what it asks for beside the guests that
// there are. Errors: NOT_FOUND, FAILED_PRECONDITION, ALREADY_EXISTS, RESOURCE_EXHAUSTED, in one
// sentence.
absl::StatusOr<const Recipe*> CheckSpec(const GuestSpec& spec, const std::vector<Recipe>& recipes,
                                        const MachineFacts& machine, const Units& units,
                                        const Amounts& capacity, const HostRecord& record);

// What each guest that runs is to hold: the whole set, or FAILED_PRECONDITION with the guest that
// would fall below its seed, hold more than it ever may, or bring the sum above the capacity.
// Guests that `grants` does not name keep what they hold.
absl::StatusOr<std::map<GuestId, Amounts>> CheckGrants(const GrantSet& grants, const Units& units,
                                                       const Amounts& capacity,
                                                       const HostRecord& record);

}  // namespace nom::market

#endif  // MARKETD_HOST_LINUX_CHECK_GRANTS_H_
