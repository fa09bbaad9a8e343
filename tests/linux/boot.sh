#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# boot.sh GUEST_FILES INITRAMFS TEST_PROGRAM HOG RUN_OPTIONS...: makes the machine's initramfs and boots it.
set -eu
here=$(dirname "$(readlink -f "$0")")
files=$1 initramfs=$2 test_program=$3 hog=$4
shift 4
[ -s "$files/vmlinuz" ] || { echo "skipped: no $files/vmlinuz; ./nom test fetches it"; exit 77; }
modules=
for name in configfs null_blk lzo-rle zsmalloc zram veth ifb sch_htb sch_ingress cls_matchall act_mirred; do
  module=$(find "$files/packages/unpacked/lib/modules" -name "$name.ko" | head -n 1)
  [ -z "$module" ] || modules="$modules --file $module:modules/$name.ko"
done
# shellcheck disable=SC2086  # One word for each.
python3 "$here/../../deploy/linux/make_initramfs.py" "$initramfs" --busybox "$files/busybox" --init "$here/init" \
  --program "$test_program" --program "$hog:bin/hog" $modules
exec python3 "$here/run.py" "$files/vmlinuz" "$initramfs" "$@"
