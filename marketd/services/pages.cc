#include "marketd/services/pages.h"

#include <algorithm>
#include <utility>

#include "marketd/base/status.h"
#include "marketd/services/convert.h"

namespace nom::marketd {
namespace {

// Rounds are read in pieces, so that no more of them are held than are sent.
constexpr int kRoundsAtOnce = 32;

}  // namespace

absl::Status AddRounds(const ReadRounds& read, market::RoundId before, int page_size,
                       const market::Caller& caller, bool border,
                       market_pb::ListRoundsResponse* response) {
  size_t bytes = 0;
  while (response->rounds_size() < page_size) {
    const int wanted = std::min(kRoundsAtOnce, page_size - response->rounds_size());
    // One more than is wanted, to know whether there are more.
    NOM_ASSIGN_OR_RETURN(const std::vector<market::Round> rounds, read(before, wanted + 1));
    const bool more = rounds.size() > static_cast<size_t>(wanted);
    for (size_t i = 0; i < std::min(rounds.size(), static_cast<size_t>(wanted)); ++i) {
      market_pb::Round round = ToProto(rounds[i], caller, border);
      bytes += round.ByteSizeLong();
      // The first goes whatever its size: who asks must get on.
      if (bytes > kPageBytesMax && response->rounds_size() > 0) {
        response->set_next_before_round_id(before);
        return absl::OkStatus();
      }
      before = round.round_id();
      *response->add_rounds() = std::move(round);
    }
    if (!more) return absl::OkStatus();
  }
  response->set_next_before_round_id(before);
  return absl::OkStatus();
}

}  // namespace nom::marketd
