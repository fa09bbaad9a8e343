#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Debian's kernel as a guest of the market: a tenant's guest names it as its image, nomhv boots it from the machine's own
# archive, it bids for processor time and is charged for it, powers off, and is given back.
#
# usage: pc.sh BUILD_DIR STATE_DIR LINUX_FILES RUN_PY
set -euo pipefail
build=$1 state=$2 period=2s limit=240
linux=$3 run=$4
# shellcheck source=deploy/up/lib.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../../deploy/up/lib.sh"
[[ -s $linux/vmlinux ]] || { echo "skipped: no $linux/vmlinux; ./nom test fetches it"; exit 77; }
trap finish EXIT
trap 'exit 143' TERM

logged() { grep -qE "$1" "$state/nomhv.log"; }
guest_is() { "${operator[@]}" guests --json | grep -q "\"state\": *\"$1\""; }

prepare_state 0
"$run" --nomhv "$build/nomhv/nomhv.elf" --guests "$build/guests" --driver none --linux "$linux" \
  --archive "$state/boot.cpio" linux_commands
start_market "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/pc.yaml"
start_machine -initrd "$state/boot.cpio"
wait_for_host
(umask 077 && "${operator[@]}" tenant create lab --token-only >"$state/lab.token")
"${operator[@]}" deposit lab 100cr >/dev/null

admit() { "${operator[@]}" admit --tenant lab --seed memory=128 --seed cpu=40 --memory-max 128 "$@"; }
refusal=$(admit --name lost --image lost 2>&1 >/dev/null) && die "a kernel that the machine lacks was started"
grep -q 'image lost: the machine has no file "none"' <<<"$refusal" || die "the refusal says: $refusal"
admit --name linux --image debian --arguments "nom=hello,both,nap" >/dev/null
as_tenant lab bid linux cpu 100@400 >/dev/null
wait_for 120 "Linux's userspace" "$state/nomhv.log" "$machine" logged ' "linux": .*nom: userspace of 6\.1\..* on 2 processors'
as_tenant lab bids
wait_for 120 "the end of Linux" "$state/nomhv.log" "$machine" logged 'nomhv: guest [0-9]+ "linux" ended: DONE'
wait_for 60 "the news of its end" "$state/marketd.log" "$market" guest_is ended
logged 'nom: both processors work' || die "its processors do not"
"${operator[@]}" rounds --json | grep -qE '"settled_microcredits": *"?[1-9]' || die "it was charged for no award"
as_tenant lab end linux --for-good
guest_is ended && die "it is still there"
"${operator[@]}" audit
