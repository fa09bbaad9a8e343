#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# No segment of an image is both writable and executable.
set -euo pipefail
segments=$(LC_ALL=C readelf -lW "$1" | sed -n 's/^  LOAD  *\(0x[0-9a-f]*  *\)\{5\}\(.*\) 0x[0-9a-f]*$/\2/p')
count=$(grep -c R <<<"$segments") || true
((count >= 2)) || { echo "$1: only $count segments found"; exit 1; }
if grep -q 'W.*E' <<<"$segments"; then
  echo "$1: a segment is writable and executable:"
  readelf -lW "$1"
  exit 1
fi
echo "$1: $count segments, none writable and executable"
