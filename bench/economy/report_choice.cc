// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "bench/economy/choice_study.h"
#include "bench/economy/contract_study.h"
#include "bench/economy/report_parts.h"
#include "bench/economy/table.h"
#include "bench/economy/workload.h"

namespace nom::economy {
namespace {

struct Market {
  const char* name;
  PriceShape shape;
  int64_t cycle_rounds;
};

constexpr Market kMarkets[] = {
    {"steady", PriceShape::kSteady, 1},
    {"daily", PriceShape::kDaily, 1},
    {"daily, the day known", PriceShape::kDaily, kRoundsADay},
    {"bursty", PriceShape::kBursty, 1},
};

struct Who {
  const char* name;
  Chooser chooser;
  int64_t dislike_percent;
};

constexpr Who kWho[] = {
    {"dislike 0", Chooser::kAdviser, 0},
    {"dislike 50", Chooser::kAdviser, 50},
    {"dislike 100", Chooser::kAdviser, 100},
    {"always spot", Chooser::kAlwaysSpot, 0},
    {"always contract", Chooser::kAlwaysContract, 0},
};

constexpr int kWorlds = 5;

absl::StatusOr<ChoiceStudyResult> MeanOfWorlds(ChoiceStudyOptions study) {
  ChoiceStudyResult mean;
  for (int world = 0; world < kWorlds; ++world) {
    const auto result = RunChoices(study);
    if (!result.ok()) return result.status();
    for (double ChoiceStudyResult::*figure :
         {&ChoiceStudyResult::spot, &ChoiceStudyResult::contract, &ChoiceStudyResult::wait,
          &ChoiceStudyResult::nothing, &ChoiceStudyResult::unknown, &ChoiceStudyResult::met,
          &ChoiceStudyResult::paid, &ChoiceStudyResult::best_paid, &ChoiceStudyResult::gain,
          &ChoiceStudyResult::best_gain, &ChoiceStudyResult::tail_gain}) {
      mean.*figure += *result.*figure / kWorlds;
    }
    ++study.seed;
  }
  return mean;
}

}  // namespace

absl::StatusOr<std::string> ReportChoice(const ReportOptions& options) {
  ChoiceStudyOptions study;
  study.seed = options.seed;
  study.needs = static_cast<int>(std::clamp<int64_t>(options.rounds / 20, 5, 2'000));
  Table table({"prices", "chosen by", "spot", "contract", "wait", "nothing", "met", "paid",
               "best paid", "gain of best", "worst tenth"});
  for (const Market& market : kMarkets) {
    for (const Who& who : kWho) {
      // To those the day's length says nothing.
      if (who.chooser != Chooser::kAdviser && market.cycle_rounds != 1) continue;
      study.shape = market.shape;
      study.cycle_rounds = market.cycle_rounds;
      study.chooser = who.chooser;
      study.dislike_ppm = who.dislike_percent * kPpm / 100;
      const auto r = MeanOfWorlds(study);
      if (!r.ok()) return r.status();
      table.Add({market.name, who.name, Percent(r->spot, 0), Percent(r->contract, 0),
                 Percent(r->wait, 0), Percent(r->nothing + r->unknown, 0), Percent(r->met, 0),
                 Fixed(r->paid / kCredit, 2), Fixed(r->best_paid / kCredit, 2),
                 Percent(r->gain / r->best_gain), Fixed(r->tail_gain / kCredit, 2)});
    }
  }
  return absl::StrCat(
      study.needs, " needs in each of ", kWorlds, " worlds from seed ", options.seed,
      ": 1 to 8 units for 6 to 48 rounds, within 1 to 4 times as many, worth 80 to 400 % of what "
      "they cost in the mean.\nQuotes are forward/1's. met: of all needs, also those that nothing "
      "was done about. paid: credits a need, beside what the\nbest in hindsight pays. gain: worth "
      "less what was paid. worst tenth: the same of the worst tenth of the needs, credits a need\n"
      "\n",
      table.Text());
}

}  // namespace nom::economy
