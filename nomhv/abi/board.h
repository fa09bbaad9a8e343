// SPDX-License-Identifier: Apache-2.0
// Boards and the bid page: shared pages that guests read and write without an exit.
//
// Boards are seqlocked: `sequence` is odd while nomhv writes. A reader loads it (acquire), copies
// what it wants, and tries again if it was odd or has changed. A board is stale, and a guest spends
// nothing new, once the TSC has passed valid_until_tsc.

#ifndef NOMHV_ABI_BOARD_H_
#define NOMHV_ABI_BOARD_H_

#include "nomhv/abi/version.h"

#define NOM_MACHINE_BOARD_MAGIC 0x424d4d4eu  // "NMMB"
#define NOM_GUEST_BOARD_MAGIC 0x42474d4eu    // "NMGB"
#define NOM_BID_PAGE_MAGIC 0x50424d4eu       // "NMBP"

struct NomPrice {
  uint32_t kind;      // NomResource
  uint32_t bound_by;  // NomBoundBy
  int64_t unit_size;  // Bytes, millicores ... in one unit.
  int64_t unit_price_microcredits;
  int64_t reserve_unit_price_microcredits;
  int64_t highest_rejected_unit_price_microcredits;  // -1: not published.
  int64_t supply_units;
  int64_t demand_units;
  int64_t sold_units;
};

// Of the market's chain of digests (marketd/INSIDE.md). transaction_id 0: not told. Since 1.4.
struct NomChainHead {
  uint64_t transaction_id;
  uint8_t digest[32];  // SHA-256.
};

struct NomMachineBoard {
  uint32_t magic;
  uint32_t abi_version;
  uint32_t sequence;
  uint32_t resource_count;
  uint64_t round_id;         // Being collected.
  uint64_t priced_round_id;  // The round that set the prices.
  uint64_t tsc_hz;
  uint64_t updated_tsc;
  uint64_t valid_until_tsc;
  uint64_t close_tsc;      // Bids count until then.
  uint64_t effective_tsc;  // What is decided takes effect then.
  uint64_t period_us;
  struct NomChainHead head;
  uint64_t market_id;  // Of board files of Linux hosts (market_id.h). 0, as on nomhv: not told.
  struct NomPrice prices[NOM_RESOURCES_MAX];
};

struct NomHolding {
  uint32_t kind;
  uint32_t reserved;
  int64_t seed_units;
  int64_t units;                // In force: seed plus award.
  int64_t next_units;           // From deadline_tsc on; equal to units when nothing is decided yet.
  int64_t charge_microcredits;  // For the award in force, for its round.
  int64_t next_charge_microcredits;
};

struct NomGuestBoard {
  uint32_t magic;
  uint32_t abi_version;
  uint32_t sequence;
  uint32_t resource_count;
  uint64_t guest_id;
  uint64_t notice_sequence;  // Rises by one with each notice.
  uint64_t notice_round_id;
  uint64_t deadline_tsc;  // Of the last notice; 0 if none is open.
  uint64_t frames_granted;
  uint64_t frames_next;
  uint64_t frames_held;
  uint64_t millicores_granted;
  uint64_t millicores_next;
  int64_t balance_microcredits;  // Of the tenant, as marketd last said.
  int64_t spent_microcredits;    // By this guest since admission.
  uint32_t devices;              // A bit for each of the device board's. Since 1.2.
  uint32_t devices_next;
  uint64_t reserved[3];
  struct NomHolding holdings[NOM_RESOURCES_MAX];
};

struct NomRange {
  int64_t min_units;
  int64_t max_units;
  int64_t value_at_min_microcredits;
  int64_t unit_price_microcredits;
};

struct NomBid {
  uint32_t kind;                // NomResource; NOM_RESOURCE_NONE: no bid in this place.
  uint32_t range_count;         // 0 withdraws.
  int64_t budget_microcredits;  // The most it may be charged in a round; 0: no limit of its own.
  struct NomRange ranges[NOM_RANGES_MAX];
};

#define NOM_BIDS_MAX 6u
#define NOM_KINDS_MAX 6u  // Of NomResource; a kind's entry is kind - 1.

// Amounts of several resources, all or nothing, and what they are worth together.
struct NomBundle {
  int32_t units[NOM_KINDS_MAX];
  int64_t value_microcredits;
};

// As many as there is room for in the place of the bids.
#define NOM_BUNDLES_MAX 99u

// How what is on a bid page belongs together (since 1.3). All but SINGLE are for machines whose
// resources are cleared together.
enum NomBidForm {
  NOM_BID_FORM_SINGLE = 0,  // Each bid is for itself, with its own budget.
  // One bid: the ranges of all are the curves of one valuation (`nom.market.v1.Combination`);
  // budgets of their own must be 0. In a product values are levels, parts of 1,048,576.
  NOM_BID_FORM_SUM = 1,
  NOM_BID_FORM_MIN = 2,
  NOM_BID_FORM_MAX = 3,
  NOM_BID_FORM_PRODUCT = 4,
  NOM_BID_FORM_BUNDLES = 5,  // One bid: at most one of `bundles` is won. bid_count is 0.
};

// Written by the guest, seqlocked by it: sequence odd while it writes. nomhv copies it whole to the
// mailbox when the sequence has changed and is even; a page that keeps changing is skipped that
// time. Nothing in it is believed: marketd checks bids as a stranger's, the report is the guest's.
struct NomBidPage {
  uint32_t magic;
  uint32_t abi_version;
  uint32_t sequence;
  uint32_t bid_count;
  uint64_t work_done;          // In work_unit, since start.
  int64_t value_microcredits;  // What the work was worth, since start.
  char work_unit[16];
  char activity[32];                 // What it is doing now, in a word or two.
  uint32_t bid_form;                 // NomBidForm; the next three are 0 in SINGLE.
  uint32_t bundle_count;             // BUNDLES only.
  int64_t budget_microcredits;       // The most that all may be charged in a round; 0: no limit.
  int64_t whole_value_microcredits;  // PRODUCT only: what all levels at the top are worth.
  uint64_t reserved[1];
  union {
    struct NomBid bids[NOM_BIDS_MAX];
    struct NomBundle bundles[NOM_BUNDLES_MAX];
  };
};

#if defined(__cplusplus)
static_assert(sizeof(NomMachineBoard) <= NOM_FRAME_BYTES, "a board is one page");
static_assert(sizeof(NomGuestBoard) <= NOM_FRAME_BYTES, "a board is one page");
static_assert(sizeof(NomBidPage) <= NOM_FRAME_BYTES, "the bid page is one page");
static_assert(NOM_BUNDLES_MAX * sizeof(NomBundle) <= NOM_BIDS_MAX * sizeof(NomBid),
              "bundles lie where bids do");
#endif

#endif  // NOMHV_ABI_BOARD_H_
