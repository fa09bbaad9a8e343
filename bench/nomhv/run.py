#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""nomhv's own costs, on the emulated machine.

exits: instructions per exit path, counted by QEMU's -icount (one TSC tick is one instruction), run twice: the two
runs must agree to the instruction. apply: wall time from a decision to its measurement, polled and with doorbells.

usage: run.py BUILD_DIR
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests/guests"))
import run as run_guests  # pylint: disable=wrong-import-position

QEMU = [
    "timeout", "-k", "5", "120", "qemu-system-x86_64", "-machine", "q35", "-accel", "tcg", "-cpu", "max", "-display", "none",
    "-no-reboot", "-nodefaults", "-device", "isa-debug-exit,iobase=0xf4,iosize=4"
]
PASSED = 33  # What nomhv leaves with when every boot guest ended well.


# What each path is meant to cost, in instructions.
GOALS = {"call": 150, "release-acquire": 1000, "hole-fault": 250, "hand-over": 100, "switch": 600, "ring-send": 40,
         "ring-receive": 40}


def exits(build: pathlib.Path) -> dict[str, int]:
    guest = "image=bench_exits.elf seed_frames=1024 window_frames=1024"
    one = f"name=bench {guest} seed_millicores=900\n"
    two = "".join(f"name={name} {guest} seed_millicores=450 arguments=switch\n" for name in ("one", "two"))
    image = (build / "guests/bench_exits.elf").read_bytes()
    found: dict[str, int] = {}
    for lines in (one, two):
        with tempfile.NamedTemporaryFile() as archive:
            archive.write(run_guests.cpio({"guests.cfg": lines.encode(), "bench_exits.elf": image}))
            archive.flush()
            found |= boot(build, ["-append", "exit=when-idle", "-initrd", archive.name])
    return found


def boot(build: pathlib.Path, arguments: list[str]) -> dict[str, int]:
    """Boots guests that print figures, and returns them; of several with one name the lowest."""
    done = subprocess.run(
        QEMU + ["-m", "256", "-smp", "2", "-icount", "shift=0,sleep=off", "-serial", "stdio", "-kernel",
                str(build / "nomhv/nomhv.elf")] + arguments,
        capture_output=True, text=True, errors="replace", check=False)
    found: dict[str, int] = {}
    for m in re.finditer(r"bench ([a-z-]+) (\d+)", done.stdout):
        found[m.group(1)] = min(int(m.group(2)), found.get(m.group(1), int(m.group(2))))
    if done.returncode != PASSED or not found:
        sys.exit(f"bench_exits failed with {done.returncode}:\n{done.stdout[-3000:]}{done.stderr[-1000:]}")
    return found


def apply(build: pathlib.Path, doorbell: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        mailbox, bell = f"{folder}/mailbox", f"{folder}/doorbell"
        with open(mailbox, "wb") as file:
            file.truncate(16 << 20)
        bench = [str(build / "bench/bench_nomhv_apply"), mailbox, str(build / "guests"), "bench_idle.elf"]
        if doorbell:
            bench.append(bell)
            device = ["-chardev", f"socket,path={bell},id=bell", "-device", "ivshmem-doorbell,vectors=1,chardev=bell"]
        else:
            device = ["-object", f"memory-backend-file,id=mailbox,size=16M,mem-path={mailbox},share=on",
                      "-device", "ivshmem-plain,memdev=mailbox"]
        market = subprocess.Popen(["timeout", "-k", "5", "120"] + bench, stdout=subprocess.PIPE, text=True)
        for _ in range(200):  # The doorbell's server must listen before the machine starts.
            if not doorbell or os.path.exists(bell):
                break
            time.sleep(0.02)
        with open(f"{folder}/serial", "w+b") as serial:
            machine = subprocess.Popen(
                QEMU + ["-m", "1024", "-smp", "4", "-serial", "stdio", "-kernel", str(build / "nomhv/nomhv.elf")] + device,
                stdin=subprocess.DEVNULL, stdout=serial, stderr=serial)
            out, _ = market.communicate()
            machine.terminate()
            machine.wait()
            if market.returncode != 0:
                serial.seek(0)
                sys.exit(f"bench_nomhv_apply failed with {market.returncode}:\n{out}\n{serial.read()[-3000:].decode()}")
        print(out, end="")


def main() -> None:
    build = pathlib.Path(sys.argv[1]).resolve()
    print("exits, instructions of nomhv and the guest's stub together, by -icount:")
    first, second = exits(build), exits(build)
    for name, count in first.items():
        goal = f"goal {GOALS[name]:>5}" if name in GOALS else " " * 10
        same = "the same in a second run" if second[name] == count else f"{second[name]} in a second run"
        print(f"  {name:<18} {count:>8} instructions   {goal}   {same}")
    print("time from decision to measured change, wall clock, software emulation:")
    for doorbell in (False, True):
        apply(build, doorbell)


if __name__ == "__main__":
    main()
