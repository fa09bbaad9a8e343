#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Looks at marketd's page in Debian's Chromium, without a window. 77: the page, Chromium or its driver can't be had.
#
# usage: run.sh MARKETD NOMCTL PAGE_FILES WORK_DIR
set -eu
here=$(dirname "$(readlink -f "$0")")
marketd=$1 nomctl=$2 files=$3 work=$4

skip() { echo "skipped: $1"; exit 77; }
command -v npm >/dev/null || skip "there is no npm"
[ -x /usr/bin/chromium ] || skip "there is no chromium"
[ -f "$files/index.html" ] || skip "the page is not built (see its message in the build)"
mkdir -p "$work"
cp "$here/package.json" "$here/package-lock.json" "$here"/*.mjs "$work"
cd "$work"
if ! cmp -s package-lock.json installed.lock; then
  npm ci --prefer-offline --ignore-scripts --no-audit --no-fund --fetch-retries=1 --fetch-timeout=60000 >npm.log 2>&1 ||
    { tail -n 5 npm.log; skip "npm ci failed"; }
  cp package-lock.json installed.lock
fi
exec node page.test.mjs "$marketd" "$nomctl" "$files"
