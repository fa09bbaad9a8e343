// SPDX-License-Identifier: Apache-2.0
// Every metric there is, in one table: names, types, labels, help. Whatever names a metric anywhere
// else (alerts, dashboards, docs) is held against this table by a test.
//
// Names follow Prometheus: base units, unit last, _total for counters. Money is in credits here
// (1 credit = 10^6 micro-credits), as a base unit; the API has the exact integers. No label holds a
// guest or a tenant: their number is not bounded by the operator, and the API has their figures.

#ifndef MARKETD_METRICS_TABLE_H_
#define MARKETD_METRICS_TABLE_H_

#include <cstddef>

#include "absl/types/span.h"

namespace nom::marketd {

enum class MetricType { kCounter, kGauge, kHistogram };

struct MetricRow {
  const char* name;
  MetricType type;
  const char* labels;  // Separated by spaces.
  const char* help;
};

// X(Id, name, type, labels, help)
#define NOM_METRICS(X)                                                                             \
  X(kBuildInfo, "nom_market_build_info", kGauge, "version commit", "1; its labels say what runs.") \
  X(kUnitPrice, "nom_market_unit_price_credits", kGauge, "host resource",                          \
    "Price of one unit for one round, of the last round decided.")                                 \
  X(kReserve, "nom_market_reserve_unit_price_credits", kGauge, "host resource",                    \
    "Lowest price at which a unit was sold for one round, in the last round decided.")             \
  X(kSupply, "nom_market_supply_units", kGauge, "host resource",                                   \
    "Units auctioned in the last round decided: capacity less seeds and contracts.")               \
  X(kDemand, "nom_market_demand_units", kGauge, "host resource",                                   \
    "Sum of the most that each bid asked for in the last round decided.")                          \
  X(kSold, "nom_market_sold_units", kGauge, "host resource",                                       \
    "Units awarded in the last round decided.")                                                    \
  X(kBoundByBids, "nom_market_price_bound_by_bids", kGauge, "host resource",                       \
    "1 if bids set the last price, 0 if the reserve did.")                                         \
  X(kWelfare, "nom_market_welfare_credits", kGauge, "host resource",                               \
    "What the last round's awards are worth by the bids, with what is not sold at the reserve; "   \
    "not of hosts that clear all resources together.")                                             \
  X(kWelfareBound, "nom_market_welfare_bound_credits", kGauge, "host resource",                    \
    "Proven: no awards of the last round would be worth more.")                                    \
  X(kRoundRevenue, "nom_market_round_revenue_credits", kGauge, "host resource",                    \
    "What the last round's awards are charged, for one period.")                                   \
  X(kMoved, "nom_market_moved_units", kGauge, "host resource",                                     \
    "Units that changed hands in the last round decided.")                                         \
  X(kJainIndex, "nom_market_jain_index_ratio", kGauge, "host resource",                            \
    "Jain's index over tenants of the share of what they asked for, in the last round decided; "   \
    "not there where nobody was awarded anything.")                                                \
  X(kCapacity, "nom_market_capacity_units", kGauge, "host resource",                               \
    "Units of the whole host, seeds included.")                                                    \
  X(kGranted, "nom_market_granted_units", kGauge, "host resource",                                 \
    "Units in guests' hands, by the host's own count.")                                            \
  X(kGrantedMax, "nom_market_granted_max_units", kGauge, "host resource",                          \
    "Most units ever in guests' hands at once, by the host's own count.")                          \
  X(kRounds, "nom_market_rounds_total", kCounter, "host outcome",                                  \
    "Rounds: decided, settled, released (never in force), skipped (nothing could be decided).")    \
  X(kClearings, "nom_market_clearings_total", kCounter, "host method",                             \
    "Auctions cleared, by how: exact, bounded, coarser, greedy, repeat_last.")                     \
  X(kDecidedAgain, "nom_market_rounds_decided_again_total", kCounter, "host",                      \
    "Rounds decided a second time, as what had been cleared could not be done any more.")          \
  X(kClearingDuration, "nom_market_clearing_duration_seconds", kHistogram, "rule",                 \
    "Time that a clearing rule took for one auction.")                                             \
  X(kLastGoodRound, "nom_market_last_good_round_timestamp_seconds", kGauge, "host",                \
    "When the last round was decided, in Unix time; 0 if none was.")                               \
  X(kRoundPeriod, "nom_market_round_period_seconds", kGauge, "host", "Length of a round.")         \
  X(kHostConnected, "nom_market_host_connected", kGauge, "host",                                   \
    "1 if marketd and the host talk to each other.")                                               \
  X(kHostLosses, "nom_market_host_losses_total", kCounter, "host",                                 \
    "Times that a host went away or left a command unanswered.")                                   \
  X(kAppliesRefused, "nom_market_host_applies_refused_total", kCounter, "host",                    \
    "Times that a host refused to put grants in force.")                                           \
  X(kDifferences, "nom_market_host_differences_total", kCounter, "host",                           \
    "Guests found holding other than the ledger says when their host was attached.")               \
  X(kMetersLost, "nom_market_host_meters_lost_total", kCounter, "host",                            \
    "Intervals of guests that could not be charged, as their meters were lost.")                   \
  X(kForgiven, "nom_market_forgiven_credits_total", kCounter, "host",                              \
    "Held beyond a round's period, as the market was away, and beyond all means to pay.")          \
  X(kHostCommandDuration, "nom_market_host_command_duration_seconds", kHistogram, "host command",  \
    "Time that a host took: attach, create, destroy, prepare, apply (putting grants in force), "   \
    "publish (boards).")                                                                           \
  X(kForced, "nom_market_host_forced_units_total", kCounter, "host",                               \
    "Units that guests did not give back in time and that were taken by force.")                   \
  X(kGuests, "nom_market_guests", kGauge, "host state", "Guests, by state.")                       \
  X(kGuestsEnded, "nom_market_guests_ended_total", kCounter, "host",                               \
    "Guests that crashed or ended by themselves.")                                                 \
  X(kArrearsEvictions, "nom_market_guests_evicted_for_arrears_total", kCounter, "host",            \
    "Guests evicted as their tenants owed rent for longer than the grace.")                        \
  X(kBids, "nom_market_bids_total", kCounter, "host outcome",                                      \
    "Bids accepted and refused, and bid pages that could not be read.")                            \
  X(kContracted, "nom_market_contracted_units", kGauge, "host resource",                           \
    "Of the host's own units, by contracts that were alive in the last round decided.")            \
  X(kContractSteps, "nom_market_contract_steps_total", kCounter, "host outcome",                   \
    "Contracts beside the auction: bought, sublet, renewed, not_renewed (they were to be, and "    \
    "could not), left.")                                                                           \
  X(kTiers, "nom_market_tier_guests", kGauge, "host tier",                                         \
    "Guests for which the market bids, by the tier of the operator's table.")                      \
  X(kTierFloors, "nom_market_tier_floors_total", kCounter, "host",                                 \
    "Floors that guests were given as their tier's turn came.")                                    \
  X(kGuestRequests, "nom_market_guest_requests_total", kCounter, "host outcome",                   \
    "Guests that tenants asked for: admitted, and refused.")                                       \
  X(kLedgerTransaction, "nom_market_ledger_transaction", kGauge, "",                               \
    "The last transaction of the ledger.")                                                         \
  X(kLedgerDigest, "nom_market_ledger_digest", kGauge, "",                                         \
    "Of that transaction: the first 52 bits of its digest, to prove a later file by.")             \
  X(kLedgerBytes, "nom_market_ledger_bytes", kGauge, "file",                                       \
    "Size on disk of the ledger, of the log of what is not yet in it (write_ahead_log), and of "   \
    "the archive of what is old.")                                                                 \
  X(kLedgerPages, "nom_market_ledger_pages", kGauge, "state",                                      \
    "Pages of the ledger's file, by state: those that are free are written on again.")             \
  X(kArchivedRows, "nom_market_ledger_archived_rows_total", kCounter, "",                          \
    "Rows moved from the ledger to its archive.")                                                  \
  X(kArchiveFailures, "nom_market_ledger_archive_failures_total", kCounter, "",                    \
    "Times that nothing could be moved to the archive, as it could not be written or read.")       \
  X(kArchivedTime, "nom_market_ledger_archived_timestamp_seconds", kGauge, "",                     \
    "When something was moved to the archive last; 0: not since the start.")                       \
  X(kTenants, "nom_market_tenants", kGauge, "", "Tenants in the ledger.")                          \
  X(kRevenue, "nom_market_revenue_credits", kGauge, "",                                            \
    "What the operator was paid, all time, by the ledger: not what is in arrears.")                \
  X(kEscrow, "nom_market_escrow_credits", kGauge, "", "Set aside for awards not yet settled.")     \
  X(kArrears, "nom_market_arrears_credits", kGauge, "", "Rent that could not be paid.")            \
  X(kContracts, "nom_market_contracts", kGauge, "host kind",                                       \
    "Open contracts but awards: forward (it has begun), future (it has not), sublet.")             \
  X(kForwardShare, "nom_market_forward_share_units", kGauge, "host resource",                      \
    "The most units that are sold by contract in a round.")                                        \
  X(kForwardSold, "nom_market_forward_sold_units", kGauge, "host resource",                        \
    "Units sold by contract for the next round that they may be bought for.")                      \
  X(kForecast, "nom_market_forecast_unit_price_credits", kGauge, "host resource",                  \
    "What a unit is taken to cost in the next rounds: what forward prices begin with.")            \
  X(kForwardPrice, "nom_market_forward_unit_price_credits", kGauge, "host resource",               \
    "Price by contract of one unit more for the next round; absent if none is left.")              \
  X(kContractEscrow, "nom_market_contract_escrow_credits", kGauge, "host",                         \
    "Set aside for contracts but awards: a round each, and the fee for leaving.")                  \
  X(kContractsEnded, "nom_market_contracts_ended_total", kCounter, "reason",                       \
    "Contracts but awards that ended: over, not_renewed, left, unpaid, guest_stopped, "            \
    "guest_ended, guest_evicted, released, machine, lost, host_closed.")                           \
  X(kEvents, "nom_market_engine_events_total", kCounter, "", "Events that the engine handled.")    \
  X(kEventsRefused, "nom_market_engine_events_refused_total", kCounter, "",                        \
    "Calls refused as the engine's queue was full.")                                               \
  X(kEventsQueued, "nom_market_engine_events_queued", kGauge, "", "Events waiting now.")           \
  X(kEngineBusy, "nom_market_engine_busy_seconds_total", kCounter, "",                             \
    "Time that the engine worked.")                                                                \
  X(kTransactions, "nom_market_ledger_transactions_total", kCounter, "",                           \
    "Transactions made durable.")                                                                  \
  X(kCommitDuration, "nom_market_ledger_commit_duration_seconds", kHistogram, "",                  \
    "Time that one group commit took.")                                                            \
  X(kCommitFailures, "nom_market_ledger_commit_failures_total", kCounter, "",                      \
    "Commits that failed; after the first, marketd ends.")                                         \
  X(kWatchers, "nom_market_watchers", kGauge, "", "Watch streams open now.")                       \
  X(kWatchResponses, "nom_market_watch_responses_total", kCounter, "",                             \
    "Responses written to watchers.")                                                              \
  X(kPublishDuration, "nom_market_watch_publish_duration_seconds", kHistogram, "",                 \
    "Time from a change to its being on its way to every watcher.")                                \
  X(kWatchConflated, "nom_market_watch_conflated_total", kCounter, "",                             \
    "States skipped as a watcher was slow.")                                                       \
  X(kAnswering, "nom_market_answering", kGauge, "",                                                \
    "1 if marketd's last call of itself, through its own front door, was answered.")               \
  X(kConnections, "nom_market_connections", kGauge, "caller",                                      \
    "Connections open now: known callers, and strangers that have shown no credential.")           \
  X(kConnectionsTotal, "nom_market_connections_total", kCounter, "outcome",                        \
    "Connections: accepted, refused for want of room, dropped to make room.")                      \
  X(kCommitRetries, "nom_market_ledger_commit_retries_total", kCounter, "",                        \
    "Commits tried again as another program held the ledger's lock.")                              \
  X(kProcessCpu, "process_cpu_seconds_total", kCounter, "", "User and system time.")               \
  X(kProcessOpenFds, "process_open_fds", kGauge, "", "Open file descriptors.")                     \
  X(kProcessMaxFds, "process_max_fds", kGauge, "", "The most that may be open.")                   \
  X(kProcessVirtualMemory, "process_virtual_memory_bytes", kGauge, "", "Address space in use.")    \
  X(kProcessResidentMemory, "process_resident_memory_bytes", kGauge, "", "Memory in use.")         \
  X(kProcessStart, "process_start_time_seconds", kGauge, "", "When it started, in Unix time.")     \
  X(kCallDuration, "grpc_server_call_duration_seconds", kHistogram, "grpc_method grpc_status",     \
    "Time from a call's start to its end; streams live long.")

enum class Metric : size_t {
#define NOM_X(id, name, type, labels, help) id,
  NOM_METRICS(NOM_X)
#undef NOM_X
};

// By Metric.
absl::Span<const MetricRow> MetricTable();

const MetricRow& RowOf(Metric metric);

}  // namespace nom::marketd

#endif  // MARKETD_METRICS_TABLE_H_
