// One resource, and bids that name a value for each quantity: what no list of ranges is short
// enough for. Measured hit curves, say.
//
// Awards, ties, charges and price are those of mpsp.h for the same values, to the last bit. Concave
// curves are found and cleared by selection (concave_columns.h). Not a rule of hosts: bids come in
// ranges there.

#ifndef NOM_POLICIES_CLEARING_DENSE_H_
#define NOM_POLICIES_CLEARING_DENSE_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "policies/clearing/auction.h"
#include "policies/clearing/mpsp.h"

namespace nom::policies {

struct DenseBid {
  GuestId guest_id = 0;
  // values[a - 1] is what `a` units are worth, 0 to kValueMaxMicrocredits; at most kUnitsMax.
  std::vector<Microcredits> values_microcredits;
};

struct DenseAuction {
  int64_t capacity_units = 0;
  Microcredits reserve_unit_price_microcredits = 0;
  uint64_t seed = 0;
  std::vector<DenseBid> bids;  // Any order; a guest at most once.
};

struct DenseClearing {
  std::vector<Award> awards;                          // Winners only, by rising guest_id.
  Microcredits clearing_unit_price_microcredits = 0;  // W(capacity) - W(capacity - 1), see mpsp.h.
  Microcredits welfare_microcredits = 0;

  friend bool operator==(const DenseClearing&, const DenseClearing&) = default;
};

// O(bids * units * own units) time at worst, where nothing can be left out. Errors:
// INVALID_ARGUMENT that names the field; OUT_OF_RANGE if the values together, at most 2^60
// micro-credits, are too large.
absl::StatusOr<DenseClearing> ClearDense(const DenseAuction& auction,
                                         const MpspOptions& options = {});

}  // namespace nom::policies

#endif  // NOM_POLICIES_CLEARING_DENSE_H_
