#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Takes the kernel itself, an ELF file with a PVH entry, out of a bzImage whose payload is LZ4.

usage: unpack_kernel.py VMLINUZ OUT

Linux, Documentation/arch/x86/boot.rst: setup_sects, payload_offset and payload_length. The payload is a legacy LZ4 file,
and behind it the length of what is in it.
"""

import os
import struct
import subprocess
import sys

LZ4_LEGACY = bytes.fromhex("02214c18")


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with open(sys.argv[1], "rb") as file:
        image = file.read()
    if len(image) < 0x250 or image[0x202:0x206] != b"HdrS":
        sys.exit(f"unpack_kernel: {sys.argv[1]} is no bzImage")
    setup_sectors = image[0x1F1] or 4
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = (setup_sectors + 1) * 512 + offset
    payload = image[start:start + length]
    if len(payload) != length or not payload.startswith(LZ4_LEGACY):
        sys.exit(f"unpack_kernel: the payload of {sys.argv[1]} is not LZ4, or is cut off")
    kernel = subprocess.run(["lz4", "-dc"], input=payload[:-4], stdout=subprocess.PIPE, check=True).stdout
    if len(kernel) != struct.unpack("<I", payload[-4:])[0] or not kernel.startswith(b"\x7fELF"):
        sys.exit(f"unpack_kernel: what is in {sys.argv[1]} is no ELF file, or not whole")
    with open(sys.argv[2] + ".new", "wb") as file:
        file.write(kernel)
    os.rename(sys.argv[2] + ".new", sys.argv[2])


main()
