#include "tests/referee/mip_program.h"

#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>

namespace nom::policies {
namespace {

std::string Term(int64_t factor, const std::string& variable) {
  return (factor < 0 ? " - " : " + ") + std::to_string(std::abs(factor)) + " " + variable;
}

}  // namespace

void MipProgram::Add(const Auction& auction, GuestId without) {
  const std::string block = "b" + std::to_string(blocks_++) + "_";
  const Microcredits reserve = auction.reserve_unit_price_microcredits;
  constant_ += reserve * auction.capacity_units;
  std::ostringstream sold;
  for (const Bid& bid : auction.bids) {
    const std::string guest = block + std::to_string(bid.guest_id) + "_";
    std::ostringstream one;
    std::ostringstream kept;
    for (size_t r = 0; r < bid.ranges.size(); ++r) {
      const Range& range = bid.ranges[r];
      const std::string z = guest + "z" + std::to_string(r);
      const std::string q = guest + "q" + std::to_string(r);
      const Microcredits price =
          range.min_units == range.max_units ? 0 : range.unit_price_microcredits;
      const Microcredits at_zero = range.value_at_min_microcredits - range.min_units * price;
      // Worth the reserve: at_zero * z + (price - reserve) * q >= 0.
      constraints_ << Term(at_zero, z) << Term(price - reserve, q) << " >= 0\n";
      constraints_ << q << Term(-range.max_units, z) << " <= 0\n";
      constraints_ << q << Term(-range.min_units, z) << " >= 0\n";
      if (bid.guest_id != without) {
        objective_ << Term(-at_zero, z) << Term(reserve - price, q) << "\n";
      }
      binaries_ << " " << z << "\n";
      integers_ << " " << q << "\n";
      one << " + " << z;
      kept << " + " << q;
      sold << " + " << q;
    }
    if (!bid.ranges.empty()) constraints_ << one.str() << " <= 1\n";
    if (auction.reclaim_penalty_microcredits > 0 && bid.held_units > 0) {
      const std::string t = guest + "t";
      objective_ << Term(auction.reclaim_penalty_microcredits, t) << "\n";
      constraints_ << t << kept.str() << " >= " << bid.held_units << "\n";
    }
  }
  if (!sold.str().empty()) {
    constraints_ << sold.str() << " <= " << auction.capacity_units << "\n";
  }
}

std::optional<int64_t> MipProgram::Solve(const std::string& folder) const {
  const std::string base = folder + "nom_mip_" + std::to_string(getpid());
  {
    std::ofstream file(base + ".lp");
    file << "Minimize\nobj: 0 nothing\n"
         << objective_.str() << "Subject To\nnothing >= 0\n"
         << constraints_.str() << "Binaries\n"
         << binaries_.str() << "Generals\n"
         << integers_.str() << "End\n";
  }
  const std::string command = "cbc " + base + ".lp ratioGap 0 allowableGap 0 solve solution " +
                              base + ".txt > " + base + ".log";
  const bool is_run = std::system(command.c_str()) == 0;
  std::ifstream solution(base + ".txt");
  std::string line;
  std::getline(solution, line);
  for (const char* suffix : {".lp", ".txt", ".log"}) std::remove((base + suffix).c_str());
  double objective = 0;
  if (!is_run || std::sscanf(line.c_str(), "Optimal - objective value %lf", &objective) != 1) {
    return std::nullopt;
  }
  const double rounded = std::round(objective);
  if (std::abs(objective - rounded) > 0.01) return std::nullopt;
  return constant_ - static_cast<int64_t>(rounded);
}

}  // namespace nom::policies
