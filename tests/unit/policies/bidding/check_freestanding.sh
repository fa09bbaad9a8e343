#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Usage: check_freestanding.sh NM OBJECT...
# Fails if an object refers to anything that a guest on nomhv does not have.
set -eu
nm=$1
shift
[ "$#" -gt 0 ] || { echo "no objects to check" >&2; exit 1; }
undefined=$("$nm" --undefined-only --format=posix "$@" | awk '/ U/ {print $1}' | sort -u)
allowed=$("$nm" --defined-only --format=posix "$@" | awk 'NF > 2 {print $1}' | sort -u)
status=0
for symbol in $undefined; do
  case "$symbol" in memcpy | memset | memmove | memcmp | _GLOBAL_OFFSET_TABLE_) continue ;; esac
  if ! printf '%s\n' "$allowed" | grep -qxF "$symbol"; then
    echo "refers to $symbol, which is not there without a C++ library" >&2
    status=1
  fi
done
exit $status
