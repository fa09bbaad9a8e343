#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# marketd is killed in mid-round while nomhv and the guests run, and started again on its ledger: the guests never stop, the
# market goes on from the books, and the next rounds are held to what the meters say.
#
# usage: restart.sh BUILD_DIR STATE_DIR
set -euo pipefail
build=$1 state=$2 period=2s limit=240
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../../deploy/up/lib.sh"
trap finish EXIT
trap 'exit 143' TERM

guests_now() { grep -E "\"(guest_id|name|state)\"" <<<"$("${operator[@]}" guests --json)" | tr -d " ," | sort -u; }
newest_round() { "${operator[@]}" rounds --limit 1 --json | sed -n 's/.*"round_id": *\([0-9]*\).*/\1/p' | head -n 1; }

prepare_state 0
start_market
start_machine
wait_for_host
admit_guests
sell_products
start_bidder
"${operator[@]}" top --check --rounds 3
before=$(guests_now)
contracts=$("${operator[@]}" contracts --json | grep '"contract_id"')
round=$(newest_round)
admitted=$(grep -cvE '^ *(#|$)' "$up_here/guests.list")

kill -KILL "$marketd"
wait "$market" 2>/dev/null || true
echo "== marketd killed after round $round; the machine goes on =="
kill -0 "$machine" || die "nomhv did not survive marketd"
start_market
wait_for_host
"${operator[@]}" top --check --rounds 3

[[ $(guests_now) == "$before" ]] || { diff <(echo "$before") <(guests_now); die "the guests are not the same"; }
[[ $("${operator[@]}" contracts --json | grep '"contract_id"') == "$contracts" ]] || die "the contracts are not the same"
sum_up_products
(($(newest_round) > round)) || die "no round after $round"
# The machine's own log: booted once, and each guest was started once.
boots=$(grep -c 'guest processors' "$state/nomhv.log" || true)
started=$(grep -cE 'guest [0-9]+ .* started' "$state/nomhv.log" || true)
echo "boots: $boots, guests admitted: $admitted, guests started: $started"
((boots == 1 && admitted >= 4 && started == admitted))
