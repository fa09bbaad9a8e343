#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Boots Debian's kernel with one initramfs under QEMU, runs the tests inside, ends as they did.

usage: run.py KERNEL INITRAMFS [--icount] [--memory MIB] [--filter TESTS] [--append WORDS]
              [--timeout SECONDS]

Ends as the tests did (0 if all passed), with 1 if they did not end, 77 (skipped) if QEMU or the kernel is not there.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import threading

QEMU = "qemu-system-x86_64"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("kernel")
    parser.add_argument("initramfs")
    parser.add_argument("--icount", action="store_true")
    parser.add_argument("--memory", default="512")
    parser.add_argument("--filter", default="*")
    parser.add_argument("--append", default="", help="more of the kernel's command line")
    parser.add_argument("--timeout", type=float, default=300)
    arguments = parser.parse_args()
    if shutil.which(QEMU) is None or not os.path.exists(arguments.kernel):
        print(f"skipped: needs {QEMU} and {arguments.kernel} (./nom test fetches them)")
        return 77
    command = [QEMU, "-machine", "q35", "-accel", "tcg", "-cpu", "max", "-m", arguments.memory, "-smp", "1",
               "-display", "none", "-no-reboot", "-nodefaults", "-serial", "stdio",
               "-kernel", arguments.kernel, "-initrd", arguments.initramfs,
               "-append", f"console=ttyS0 quiet panic=-1 tsc=reliable nom_filter={arguments.filter} {arguments.append}"]
    if arguments.icount:
        # Time in the machine is a count of instructions: what a test measures does not depend on ours.
        command += ["-icount", "shift=3,sleep=off"]
    machine = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               text=True, errors="replace", start_new_session=True)
    alarm = threading.Timer(arguments.timeout, lambda: os.killpg(machine.pid, signal.SIGKILL))
    alarm.start()
    code = None
    for line in machine.stdout:
        print(line.rstrip("\r\n"), flush=True)
        ended = re.search(r"nom-tests-ended (\d+)", line)
        if ended:
            code = int(ended.group(1))
    machine.wait()
    late = not alarm.is_alive()
    alarm.cancel()
    if code is None:
        print("run.py: the machine ended without a verdict" + (f" after {arguments.timeout} s" if late else ""))
        return 1
    return code


sys.exit(main())
