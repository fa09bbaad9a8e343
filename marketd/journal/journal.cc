// SPDX-License-Identifier: Apache-2.0
#include "marketd/journal/journal.h"

#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "policies/clearing/method_name.h"

namespace nom::marketd {
namespace {

using market::EndCause;
using market::GuestState;

class Lines {
 public:
  void Add(LogLevel level, absl::string_view event, std::vector<LogField> fields) {
    out_.push_back({.level = level, .event = std::string(event), .fields = std::move(fields)});
  }
  std::vector<LogLine> Take() { return std::move(out_); }

 private:
  std::vector<LogLine> out_;
};

absl::string_view CauseName(EndCause cause) {
  switch (cause) {
    case EndCause::kNone:
      return "unknown";
    case EndCause::kExited:
      return "exited";
    case EndCause::kCrashed:
      return "crashed";
    case EndCause::kStopped:
      return "stopped";
    case EndCause::kEvicted:
      return "evicted";
    case EndCause::kArrears:
      return "arrears";
  }
  return "unknown";
}

// How much a counter grew, from 0 if there was nothing before.
uint64_t Grown(uint64_t before, uint64_t now) { return now > before ? now - before : 0; }

void TellLink(const market::HostView* before, const market::HostView& now, Lines& out) {
  const bool was_connected = before != nullptr && before->connected;
  const uint64_t losses =
      Grown(before == nullptr ? 0 : before->counters.losses, now.counters.losses);
  if (was_connected && (!now.connected || losses > 0)) {
    out.Add(LogLevel::kWarning, "host_lost", {{"host", now.host_id}, {"msg", now.detail}});
  }
  if (now.connected && (!was_connected || losses > 0)) {
    out.Add(LogLevel::kInfo, "host_found", {{"host", now.host_id}, {"msg", now.detail}});
  }
}

void TellRounds(const market::HostView* before, const market::HostView& now, Lines& out) {
  const market::HostCounters none;
  const market::HostCounters& was = before == nullptr ? none : before->counters;
  const market::HostCounters& is = now.counters;
  if (const uint64_t skipped = Grown(was.rounds_skipped, is.rounds_skipped); skipped > 0) {
    out.Add(LogLevel::kWarning, "round_late",
            {{"host", now.host_id},
             {"periods", skipped},
             {"msg", "whole periods passed in which nothing could be decided"}});
  }
  if (const uint64_t released = Grown(was.rounds_released, is.rounds_released); released > 0) {
    out.Add(LogLevel::kWarning, "round_released",
            {{"host", now.host_id}, {"rounds", released}, {"msg", now.detail}});
  }
  if (Grown(was.clearings_again, is.clearings_again) > 0) {
    out.Add(LogLevel::kWarning, "round_decided_again",
            {{"host", now.host_id},
             {"round", now.priced_round_id},
             {"msg", "what had been cleared could not be done any more"}});
  }
  if (Grown(was.meters_lost, is.meters_lost) > 0) {
    out.Add(LogLevel::kWarning, "meters_lost",
            {{"host", now.host_id},
             {"guests", Grown(was.meters_lost, is.meters_lost)},
             {"msg", "what they held last could not be charged"}});
  }
  const bool is_new = Grown(was.rounds_decided, is.rounds_decided) > 0;
  for (const market::ResourcePrice& price : now.prices) {
    if (!is_new || price.method == policies::Method::kExact) continue;
    out.Add(LogLevel::kWarning, "round_fallback",
            {{"host", now.host_id},
             {"round", now.priced_round_id},
             {"resource", market::KindName(price.kind)},
             {"method", policies::MethodName(price.method)}});
  }
}

// What became of contracts and tiers at the close of a round, which nobody asked for just then.
void TellProducts(const market::HostView* before, const market::HostView& now, Lines& out) {
  const market::HostCounters none;
  const market::HostCounters& was = before == nullptr ? none : before->counters;
  const market::HostCounters& is = now.counters;
  const auto tell = [&](LogLevel level, const char* event, uint64_t old, uint64_t count) {
    if (Grown(old, count) == 0) return;
    out.Add(level, event, {{"host", now.host_id}, {"count", Grown(old, count)}});
  };
  tell(LogLevel::kInfo, "contracts_renewed", was.contracts_renewed, is.contracts_renewed);
  tell(LogLevel::kWarning, "contracts_not_renewed", was.contracts_not_renewed,
       is.contracts_not_renewed);
  tell(LogLevel::kInfo, "tier_floors_given", was.tier_floors, is.tier_floors);
}

// A contract that ends before its rounds are over, as it could not be paid.
void TellUnpaid(const market::GuestView* before, const market::GuestView& now, Lines& out) {
  const auto is_unpaid = [](const market::Contract& contract) {
    return contract.left_because == market::kEndedUnpaid && !market::IsAward(contract);
  };
  for (const market::Contract& contract : now.contracts) {
    if (!is_unpaid(contract)) continue;
    bool is_told = false;
    for (const market::Contract& old : before == nullptr ? now.contracts : before->contracts) {
      is_told |= old.contract_id == contract.contract_id && is_unpaid(old);
    }
    if (is_told) continue;
    out.Add(LogLevel::kWarning, "contract_unpaid",
            {{"contract", contract.contract_id},
             {"guest", now.guest.guest_id},
             {"tenant", contract.tenant_id},
             {"until_round", contract.left_from_round_id}});
  }
}

void TellGuest(const market::GuestView* before, const market::GuestView& now, Lines& out) {
  const market::Guest& guest = now.guest;
  if (before != nullptr && before->guest.state == guest.state) return;
  std::vector<LogField> fields = {{"guest", guest.guest_id},
                                  {"name", guest.name},
                                  {"host", guest.host_id},
                                  {"tenant", guest.tenant_id},
                                  {"cause", CauseName(guest.end_cause)},
                                  {"msg", guest.exit_reason}};
  if (guest.state == GuestState::kEnded) {
    const bool is_crash = guest.end_cause == EndCause::kCrashed;
    out.Add(is_crash ? LogLevel::kWarning : LogLevel::kInfo, "guest_ended", std::move(fields));
  } else if (guest.state == GuestState::kEvicting && guest.end_cause == EndCause::kArrears) {
    out.Add(LogLevel::kWarning, "guest_evicted_for_arrears", std::move(fields));
  }
}

void TellTenant(const market::TenantView* before, const market::TenantView& now, Lines& out) {
  const market::Microcredits was = before == nullptr ? 0 : before->purse.arrears;
  if (was == 0 && now.purse.arrears < 0) {
    out.Add(LogLevel::kWarning, "tenant_in_arrears",
            {{"tenant", now.tenant_id}, {"microcredits", -now.purse.arrears}});
  } else if (was < 0 && now.purse.arrears == 0) {
    out.Add(LogLevel::kInfo, "tenant_out_of_arrears", {{"tenant", now.tenant_id}});
  }
}

}  // namespace

std::vector<LogLine> LinesOf(const market::View* before, const market::View& now) {
  Lines out;
  for (const auto& host : now.hosts) {
    const market::HostView* const was =
        before == nullptr ? nullptr : before->FindHost(host->host_id);
    TellLink(was, *host, out);
    TellRounds(was, *host, out);
    TellProducts(was, *host, out);
  }
  // Nobody is told again, at each start, of what had ended or was owed before it.
  if (before == nullptr) return out.Take();
  for (const auto& guest : now.guests) {
    const market::GuestView* const was = before->FindGuest(guest->guest.guest_id);
    TellGuest(was, *guest, out);
    TellUnpaid(was, *guest, out);
  }
  for (const market::TenantView& tenant : now.tenants) {
    TellTenant(before->FindTenant(tenant.tenant_id), tenant, out);
  }
  return out.Take();
}

void Journal::OnView(std::shared_ptr<const market::View> view) {
  for (LogLine& line : LinesOf(last_.get(), *view)) {
    Log(line.level, line.event, std::move(line.fields));
  }
  last_ = std::move(view);
}

}  // namespace nom::marketd
