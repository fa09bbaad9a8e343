#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What ./nom makes of its words, before anything is built: a copy of it, in a tree where building does nothing and
# what would be started says how it was called.
#
# usage: words.sh SOURCE_DIR WORK_DIR
set -euo pipefail
source=$1 work=$2
rm -rf "$work"
mkdir -p "$work/bin" "$work/tree/build/dev" "$work/tree/deploy/up/linux" "$work/tree/deploy/linux" "$work/tree/bench" "$work/tree/tests/tidy"
cp "$source/nom" "$work/tree/"
: >"$work/tree/build/dev/build.ninja"
for program in deploy/up/run deploy/up/linux/run deploy/linux/fetch_guest bench/run tests/tidy/clang_tidy.sh; do
  printf '#!/bin/sh\n[ $# -lt 2 ] || shift 2; echo "started: $*"\n' >"$work/tree/$program"
  chmod +x "$work/tree/$program"
done
# Every package is there, every build and test succeeds and does nothing.
printf '#!/bin/sh\nprintf installed\n' >"$work/bin/dpkg-query"
printf '#!/bin/sh\necho "ctest: $*"\necho "1/1 Test #1: x .. Passed"\necho "100%% tests passed, 0 tests failed out of 1"\n' >"$work/bin/ctest"
for program in ninja cmake npm; do printf '#!/bin/sh\n' >"$work/bin/$program"; done
# But for what would go on for an hour.
printf '#!/bin/sh\nexit 1\n' >"$work/bin/python3"
chmod +x "$work/bin"/*
failed=0
# is CODE PIECE WORD...: ends with the code, and the piece is among what it says.
is() {
  local code=$1 piece=$2 said ended=0
  shift 2
  said=$(PATH="$work/bin:$PATH" "$work/tree/nom" "$@" 2>&1 </dev/null) || ended=$?
  [[ $ended == "$code" && $said == *"$piece"* ]] && return 0
  printf 'FAILED: nom %s ended with %s, not %s, or does not say "%s":\n%s\n' "$*" "$ended" "$code" "$piece" "$said"
  failed=1
}
is 0 './nom up --rounds 10' help
is 0 './nom up --rounds 10'
is 2 'unknown command upp' upp
# Numbers are decimal, however they are written.
is 0 'started: 10 2s 0' up --rounds 010 --period 2s
is 0 'started: 8 1500ms 1' up --rounds 08 --period 1500ms --keep
is 0 'top 9 8000' up --linux --rounds 09 --period 08s
is 0 'top 10 900' up --linux --period 0900ms
for wrong in '' x -1 1.5 0x10 1000000000; do is 2 '--rounds wants a number' up --rounds "$wrong"; done
for wrong in '' 2 2m s; do is 2 '--period wants a time' up --period "$wrong"; done
is 2 'unknown option --round' up --round 3
is 0 'ctest: --test-dir build/dev --output-on-failure --timeout 600 -R mpsp' test --only mpsp
is 2 '--only wants a regular expression' test --only
is 2 'unknown option --olny' test --olny mpsp
is 2 'takes no options' package all
is 2 'takes no options' coverage nomhv
is 2 'wants seconds' fuzz forever
is 2 'wants seconds' nightly 0
is 2 '--rounds wants a number' soak --rounds 0
is 2 'unknown option --round' soak --round 5
# Whatever a page or the help says to type is taken, though nothing is there to be run.
shown=$( (cd "$source" && git ls-files '*.md' 2>/dev/null || find . -name '*.md' -not -path './build/*') | while read -r page; do
  grep -ohE '(^ *|`)\./nom( [a-z-][^`#]*)?' "$source/$page" || true
done; grep -ohE '^ +\./nom [^#]*' "$source/nom")
commands=0
while read -r line; do
  line=${line#*./nom}
  line=${line%%  *}  # What it does stands behind two blanks.
  # What stands for something else, as in `./nom up --rounds N`, is not typed.
  [[ $line != *[A-Z]* ]] || continue
  commands=$((commands + 1))
  # shellcheck disable=SC2086  # Its words.
  said=$(PATH="$work/bin:$PATH" timeout 20 "$work/tree/nom" $line 2>&1 </dev/null) && continue
  [[ $? != 1 ]] && { printf 'FAILED: a page says ./nom%s:\n%s\n' "$line" "$(head -n 5 <<<"$said")"; failed=1; }
done < <(sed 's/ *$//' <<<"$shown" | sort -u)
((commands > 15)) || { echo "FAILED: only $commands commands found on the pages"; failed=1; }
exit $failed
