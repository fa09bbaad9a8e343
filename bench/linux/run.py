#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a market does for ordinary programs on a Linux machine: memcached, a web server, a batch job, a reader of a disk.

Each arrangement is a boot of an emulated machine whose clock counts instructions, so that what is measured does not
depend on this machine or on what else it does; README.md says what is compared.

usage: run.py BUILD_DIR [--guest DIR] [--out DIR] [--only figures|day|split] [--jobs N] [--steps N] [--under WORDS] [--again]
"""

import argparse
import concurrent.futures
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parents[1]
PERIOD_S = 5
ROUNDS_A_STEP = 12  # As in init.
WORTH_OF_A_HIT = 240  # Micro-credits, in the study of a day; a thousand of them are what the agent is told.
FIXED_MIB = (0, 10, 20, 40, 60, 80)
# In the study of a split, as in init.
HIT, PAGE, SECOND = 80, 300, 3000


def measured(text):
    return [line.split()[1:] for line in text.splitlines() if line.startswith("bench:")]


def boot(arguments, study, how, steps):
    """The words of each line of a machine that begins with "bench:", without that."""
    append = f"nom_study={study} nom_how={how} nom_steps={steps} nom_period={PERIOD_S * 1000} nom_worth={WORTH_OF_A_HIT * 1000}"
    log = arguments.out / f"{study}-{how}-{steps}.log"
    if not arguments.again and log.exists() and "nom-tests-ended 0" in log.read_text():
        return measured(log.read_text())
    done = subprocess.run([*arguments.under.split(), sys.executable, TOP / "tests/linux/run.py", arguments.guest / "vmlinuz", arguments.initramfs,
                           "--memory", "1024", "--icount", "--timeout", "1800", "--append", append],
                          capture_output=True, text=True, check=False)
    log.write_text(done.stdout)
    if done.returncode == 77:
        print(done.stdout.strip())
        sys.exit(77)
    if done.returncode != 0:
        sys.exit(f"bench/linux: {study}, {how}: the machine ended with {done.returncode}:\n{done.stdout[-3000:]}")
    return measured(done.stdout)


def table(header, rows):
    """Columns that people read and Markdown shows; the first is aligned to the left."""
    cells = [[str(cell) for cell in row] for row in [header, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    for n, row in enumerate(cells):
        print("| " + " | ".join(cell.rjust(width) if i else cell.ljust(width)
                                for i, (cell, width) in enumerate(zip(row, widths))) + " |")
        if n == 0:
            print("|" + "|".join("-" * (width + 1) + (":" if i else "-") for i, width in enumerate(widths)) + "|")


def plot(arguments, kind, name, labels, header, rows):
    csv = arguments.out / f"{name}.csv"
    csv.write_text("\n".join(",".join(str(cell) for cell in row) for row in [header, *rows]) + "\n")
    subprocess.run([arguments.build / "bench/plot/plot_csv", kind, *labels, csv, arguments.out / f"{name}.svg"], check=True)


def report_day(arguments, found):
    print(f"\nmemcached through {arguments.steps} prices of memory, {ROUNDS_A_STEP} rounds of {PERIOD_S} s each; a hit is "
          f"worth {WORTH_OF_A_HIT} micro-credits")
    rows, profits = [], {}
    for how, lines in found.items():
        begin, end = ([int(word) for word in next(line[1:] for line in lines if line[0] == which)] for which in ("begin", "end"))
        hits, lookups, charged = (after - before for before, after in zip(begin, end))
        held = [int(line[3]) for line in lines if line[0] == "at" and int(line[1]) > 0]
        profits[how] = (hits * WORTH_OF_A_HIT - charged) / 1e6
        rows.append([how.replace("-", " "), f"{sum(held) / len(held):.0f}", f"{100 * hits / lookups:.1f} %",
                     f"{hits * WORTH_OF_A_HIT / 1e6:.2f}", f"{charged / 1e6:.2f}", f"{profits[how]:.2f}"])
    table(["memory", "MiB, mean", "hits", "worth, cr", "charged, cr", "profit, cr"], rows)
    best = max((profit, how) for how, profit in profits.items() if how != "learner")
    print(f"the learner's profit is {profits['learner'] / best[0]:.3f} of that of the best fixed size ({best[1]}), which is only "
          f"known afterwards; goal: above 1")
    lines = [line for line in found["learner"] if line[0] == "at" and int(line[1]) > 0]
    plot(arguments, "lines", "day", ["memcached follows the price of memory", "round", "MiB, and price / 10"],
         ["round", "MiB of the guest", "price of a MiB / 10"], [[line[1], line[3], int(line[2]) / 10] for line in lines])


def report_split(arguments, found):
    print(f"\nfour programs share a machine; the loads of two change {arguments.steps} times; what was worth how much, micro-credits a second")
    rows = []
    for how, lines in found.items():
        worth = [0.0, 0.0, 0.0]
        seconds = 0.0
        for line in lines:
            if line[0] != "step":
                continue
            before, after = ([float(word) for word in words] for words in (line[2:8], line[8:14]))
            hits, _, pages, _, batch_us, uptime = (b - a for a, b in zip(before, after))
            worth = [sum(pair) for pair in zip(worth, (hits * HIT, pages * PAGE, batch_us * SECOND / 1e6))]
            seconds += uptime
        rows.append([how] + [f"{value / seconds:.0f}" for value in worth] + [f"{sum(worth) / seconds:.0f}"])
    table(["arrangement", "memcached's hits", "pages in time", "the batch job", "all"], rows)
    plot(arguments, "bars", "split", ["What a machine does for its programs", "worth, micro-credits a second"],
         ["arrangement", "memcached's hits", "pages in time", "the batch job", "all"], rows)


# Tests that measure, on a machine without a market; what they print, what it is to be, and how it is called.
FIGURES = "LinuxMachineAccuracyTest.Shares*:LinuxMachineAccuracyTest.Thirty*:LinuxMachineTest.OneThatGives*:LinuxMachineTest.ARefuser*"


def report_figures(arguments):
    done = subprocess.run([*arguments.under.split(), TOP / "tests/linux/boot.sh", arguments.guest, arguments.out / "figures.cpio",
                           arguments.build / "tests/linux/linux_machine_test", arguments.build / "tests/linux/linux_hog", "--icount",
                           "--timeout", "600", "--filter", FIGURES], capture_output=True, text=True, check=False)
    (arguments.out / "figures.log").write_text(done.stdout)
    if done.returncode != 0:
        print(done.stdout[-3000:])
        sys.exit(done.returncode)

    def found(pattern):
        return [float(number) for number in re.findall(pattern, done.stdout)]
    used = found(r"used ([\d.]+) millicores")
    in_force, read = re.search(r"limits in force after (\d+) us, meters read in (\d+) us", done.stdout).groups()
    (given_back,), (killed,) = found(r"lowered in (\d+) us"), found(r"killed in ([\d.]+)ms")
    print("\none processor of 125 million instructions a second")
    table(["figure", "measured", "goal"], [
        ["300 and 640 millicores, both busy, 10 s, and an idle guest", f"{used[0]:.1f}, {used[1]:.1f}, {used[2]:.1f}", "0.5 %"],
        ["300 and 400 millicores, both busy, 10 s, and an idle guest", f"{used[3]:.1f}, {used[4]:.1f}, {used[5]:.1f}", "0.5 %"],
        ["32 guests: from a decision to all limits in force", f"{int(in_force) / 1000:.0f} ms", "50 ms"],
        ["32 guests: all meters read", f"{int(read) / 1000:.0f} ms", "60 ms"],
        ["64 MiB: from the notice to given back and the limit lowered", f"{given_back / 1000:.0f} ms", "500 ms"],
        ["a program that refuses 32 MiB: until it is ended, its neighbour untouched", f"{killed:.0f} ms", ""]])


STUDIES = {
    "day": (["learner"] + [f"fixed-{mib}" for mib in FIXED_MIB], report_day),
    "split": (["market", "static", "hinting"], report_split),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--guest", type=pathlib.Path, default=TOP / "build/linux-guest")
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("--only", choices=["figures", *STUDIES])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--under", default="", help="what each machine is started by, such as: nice -n 19")
    parser.add_argument("--again", action="store_true", help="also machines whose log is there from the last time")
    arguments = parser.parse_args()
    arguments.out = arguments.out or arguments.build / "linux"
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.only in (None, "figures"):
        report_figures(arguments)
    if arguments.only == "figures":
        return
    arguments.initramfs = arguments.out / "machine.cpio"
    made = subprocess.run([TOP / "deploy/up/linux/make_machine", arguments.build, arguments.guest, arguments.initramfs, HERE / "init"],
                          check=False)
    if made.returncode != 0:
        sys.exit(made.returncode)
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        for study, (arrangements, report) in STUDIES.items():
            if arguments.only not in (None, study):
                continue
            boots = {how: pool.submit(boot, arguments, study, how, arguments.steps) for how in arrangements}
            report(arguments, {how: done.result() for how, done in boots.items()})


main()
