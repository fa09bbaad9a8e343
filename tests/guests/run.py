#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs one test of guests.cfg: boots nomhv in QEMU and says PASS, FAIL or SKIP.

Exit code: 0 pass, 1 fail, 77 skip (something that the test needs is not installed). The serial log
is printed when a test fails.
"""

import argparse
import configparser
import fcntl
import os
import pathlib
import re
import shlex
import shutil
import signal
import socketserver
import subprocess
import sys
import tempfile
import threading
import time

MAILBOX_BYTES = 16 << 20
QEMU = "qemu-system-x86_64"
SKIP = 77
# Where the machine's serial port leads: to a file, or into a pipe that nobody empties.
SERIAL = {"read": "serial.log", "unread": "serial.pipe"}
# Every line of the log is nomhv's own, its last words, or a guest's under its id and quoted name.
# In the order in which they are loaded.
LINUX_MODULES = ("virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci failover net_failover "
                 "virtio_net msr").split()
LOG_LINE = re.compile(r'\[\d+\.\d{3}\] (nomhv|PANIC|guest \d+ "[^"]*"): ')
GRUB_CFG = """set timeout=0
menuentry nomhv {{
  multiboot2 /boot/nomhv.elf {append}
  module2 /boot/boot.cpio boot.cpio
  boot
}}
"""


class Skip(Exception):
    pass


class Failure(Exception):
    pass


def cpio(files):
    """An archive in the "newc" format of cpio(5)."""
    out = bytearray()
    for name, data in list(files.items()) + [("TRAILER!!!", b"")]:
        name_bytes = name.encode() + b"\0"
        fields = [0, 0o100644, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name_bytes), 0]
        out += b"070701" + b"".join(b"%08x" % field for field in fields) + name_bytes
        out += b"\0" * (-len(out) % 4) + data
        out += b"\0" * (-len(out) % 4)
    return bytes(out)


def linux_file(name, options, directory):
    """Of what a Linux guest starts with: Debian's kernel, and an initramfs made here."""
    if not (options.linux / "vmlinux").exists():
        raise Skip(f"no {options.linux}/vmlinux; ./nom test fetches it")
    if name == "vmlinux":
        return (options.linux / name).read_bytes()
    here = pathlib.Path(__file__).parent
    command = [str(here / "../../deploy/linux/make_initramfs.py"), str(directory / name),
               "--busybox", str(options.linux / "busybox"), "--init", str(here / "linux/init")]
    if options.guestd:
        command += ["--program", f"{options.guestd}:sbin/nomguestd"]
    for module in LINUX_MODULES:
        found = sorted((options.linux / "packages/unpacked/lib/modules").rglob(module + ".ko"))
        if not found:
            raise Failure(f"the kernel's package has no {module}.ko")
        command += ["--file", f"{found[0]}:modules/{module}.ko"]
    subprocess.run(command, check=True)
    return (directory / name).read_bytes()


def boot_archive(boot, options, directory):
    # A guest's line may go on in lines that do not begin with its name.
    lines = re.sub(r"\n(?!name=)", " ", "\n".join(line.strip() for line in boot.splitlines() if line.strip())).splitlines()
    files = {"guests.cfg": ("\n".join(lines) + "\n").encode()}
    for image in re.findall(r"\b(?:image|initramfs)=(\S+)", boot):
        if image in files or image == "none.cpio":
            continue
        if image.endswith(".elf"):
            files[image] = (options.guests / image).read_bytes()
        else:
            files[image] = linux_file(image, options, directory)
    return cpio(files)


def iso(directory, nomhv, archive, append):
    if shutil.which("grub-mkrescue") is None or shutil.which("xorriso") is None:
        raise Skip("grub-mkrescue and xorriso are needed for a disc")
    root = directory / "iso"
    (root / "boot/grub").mkdir(parents=True)
    shutil.copy(nomhv, root / "boot/nomhv.elf")
    (root / "boot/boot.cpio").write_bytes(archive)
    (root / "boot/grub/grub.cfg").write_text(GRUB_CFG.format(append=append))
    image = directory / "nomhv.iso"
    made = subprocess.run(["grub-mkrescue", "-o", str(image), str(root)], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    if made.returncode != 0:
        raise Failure("grub-mkrescue: " + made.stdout)
    return image


def qemu_command(test, options, directory, boot):
    append = ("exit=when-idle " if boot is not None and "driver" not in test else "") + test["append"]
    command = [QEMU, "-machine", test["machine"], "-accel", "tcg", "-cpu", test["cpu"],
               "-m", test["memory_mib"] + "M",
               "-smp", test["cpus"], "-display", "none", "-no-reboot", "-nodefaults",
               "-serial", "file:" + str(directory / SERIAL[test["serial"]]),
               "-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
    if test["ram"] == "pattern":
        # A machine starts with whatever was in its memory; QEMU's own would be zero.
        with open(directory / "ram", "wb") as file:
            for _ in range(test.getint("memory_mib")):
                file.write(b"\xa5" * (1 << 20))
        command += ["-machine", "memory-backend=ram",
                    "-object", f"memory-backend-file,id=ram,size={test['memory_mib']}M,"
                    f"mem-path={directory / 'ram'},share=off"]
    if test["ram"] == "sparse":
        # More than this computer has: only what is touched is ever there.
        with open(directory / "ram", "wb") as file:
            file.truncate(test.getint("memory_mib") << 20)
        command += ["-machine", "memory-backend=ram",
                    "-object", f"memory-backend-file,id=ram,size={test['memory_mib']}M,"
                    f"mem-path={directory / 'ram'},share=on"]
    if test["mailbox"] == "doorbell":
        command += ["-chardev", f"socket,path={directory / 'doorbell'},id=doorbell",
                    "-device", "ivshmem-doorbell,vectors=1,chardev=doorbell"]
    else:
        command += ["-object", f"memory-backend-file,id=mailbox,size={MAILBOX_BYTES},"
                    f"mem-path={directory / 'mailbox'},share=on",
                    "-device", "ivshmem-plain,memdev=mailbox"]
    if test["icount"] != "none":
        command += ["-icount", f"shift={test['icount']},sleep=off"]
    if "disk" in test["devices"]:
        with open(directory / "disk", "wb") as file:
            file.truncate(16 << 20)
    command += shlex.split(test["devices"].format(directory=directory))
    archive = boot_archive(boot or "", options, directory)
    if test["path"] == "iso":
        command += ["-cdrom", str(iso(directory, options.nomhv, archive, append))]
    else:
        command += ["-kernel", str(options.nomhv), "-append", append.strip()]
        if boot is not None:
            (directory / "boot.cpio").write_bytes(archive)
            command += ["-initrd", str(directory / "boot.cpio")]
    return command


def check_log(log, expect):
    """`expect` is a list of regular expressions; guests run side by side, so in any order."""
    if re.search(r"^\[\d+\.\d+\] PANIC: ", log, re.M):
        raise Failure("nomhv panicked")
    for line in log.splitlines():
        if re.match(r"\[\d", line) and LOG_LINE.match(line) is None:
            raise Failure(f"a line of the log is nobody's: {line}")
    for pattern in expect:
        if re.search(pattern, log) is None:
            raise Failure(f"the log has no line like: {pattern}")


class Echo(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Sends every byte back, on a free port of this computer's alone."""
    daemon_threads = True

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            while data := self.request.recv(65536):
                self.request.sendall(data)

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Echo.Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


def end(process):
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def start_machine(test, options, directory, boot):
    with open(directory / "qemu.log", "wb") as log:
        return subprocess.Popen(qemu_command(test, options, directory, boot), stdout=log,
                                stderr=log, stdin=subprocess.DEVNULL)


def start_driver(test, options, directory, deadline):
    environment = dict(os.environ, NOM_MAILBOX=str(directory / "mailbox"),
                       NOM_GUESTS=str(options.guests))
    socket = directory / "doorbell"
    if test["mailbox"] == "doorbell":
        environment["NOM_DOORBELL"] = str(socket)
    with open(directory / "driver.log", "wb") as log:
        driver = subprocess.Popen([str(options.driver), "--gtest_filter=" + test["driver"]],
                                  env=environment, stdout=log, stderr=subprocess.STDOUT)
    while test["mailbox"] == "doorbell" and not socket.exists():
        if driver.poll() is not None or time.monotonic() > deadline:
            end(driver)
            raise Failure("the driver does not listen for the machine")
        time.sleep(0.05)
    return driver


def run_driver(test, directory, driver, qemu, deadline):
    try:
        while driver.poll() is None:
            if qemu.poll() is not None:
                raise Failure(f"the machine ended with {qemu.returncode} under the driver")
            if time.monotonic() > deadline:
                raise Failure("the driver took too long")
            time.sleep(0.05)
    finally:
        end(driver)
    if driver.returncode != 0:
        raise Failure(f"the driver ended with {driver.returncode}")
    # A filter that matches nothing is no success.
    passed = re.search(r"^\[  PASSED  \] (\d+) test", (directory / "driver.log").read_text(), re.M)
    if passed is None or int(passed[1]) == 0:
        raise Failure(f"no scenario is like {test['driver']}")
    print(f"{passed[1]} scenarios")


def run(test, options, directory):
    if shutil.which(QEMU) is None:
        raise Skip(QEMU + " is not installed")
    boot = test.get("boot")
    if boot is not None and "{echo}" in boot:
        boot = boot.replace("{echo}", str(Echo().server_address[1]))
    (directory / "mailbox").write_bytes(b"")
    os.truncate(directory / "mailbox", MAILBOX_BYTES)
    (directory / "serial.log").touch()
    pipe = None
    if test["serial"] == "unread":
        # QEMU opens it for writing only when somebody could read.
        os.mkfifo(directory / "serial.pipe")
        pipe = os.open(directory / "serial.pipe", os.O_RDONLY | os.O_NONBLOCK)
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 4096)
    deadline = time.monotonic() + test.getint("timeout_s")
    driver = start_driver(test, options, directory, deadline) if "driver" in test else None
    try:
        qemu = start_machine(test, options, directory, boot)
    except BaseException:
        if driver is not None:
            end(driver)
        raise
    try:
        if driver is not None:
            run_driver(test, directory, driver, qemu, deadline)
        else:
            try:
                qemu.wait(max(1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                raise Failure("the machine did not end by itself") from None
            if qemu.returncode != test.getint("exit_code"):
                raise Failure(f"the machine ended with {qemu.returncode}, not {test['exit_code']}")
    finally:
        end(qemu)
        if pipe is not None:
            os.close(pipe)
    log = (directory / "serial.log").read_text(errors="replace")
    check_log(log, [line.strip() for line in test["expect"].splitlines() if line.strip()])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=pathlib.Path,
                        default=pathlib.Path(__file__).with_name("guests.cfg"))
    parser.add_argument("--nomhv", type=pathlib.Path, required=True, help="the nomhv image")
    parser.add_argument("--guests", type=pathlib.Path, required=True, help="where guest images lie")
    parser.add_argument("--driver", type=pathlib.Path, required=True, help="nom_guest_driver")
    parser.add_argument("--linux", type=pathlib.Path, default=pathlib.Path("none"),
                        help="where deploy/linux/fetch_guest put its files")
    parser.add_argument("--guestd", type=pathlib.Path, help="nomguestd, for Linux guests")
    parser.add_argument("--archive", type=pathlib.Path, help="write the test's boot archive there, and run nothing")
    parser.add_argument("name", help="a section of the configuration")
    options = parser.parse_args()

    config = configparser.ConfigParser(interpolation=None)
    with open(options.config, encoding="utf-8") as file:
        config.read_file(file)
    if options.name not in config:
        parser.error(f"{options.config} has no test {options.name}")
    test = config[options.name]
    if "boot" not in test and "driver" not in test:
        parser.error(f"{options.name}: boot or driver")

    with tempfile.TemporaryDirectory(prefix="nom-guests-") as name:
        directory = pathlib.Path(name)
        try:
            if options.archive:
                options.archive.write_bytes(boot_archive(test["boot"], options, directory))
                return
            run(test, options, directory)
        except Skip as why:
            print(f"SKIP {options.name}: {why}")
            return SKIP
        except Failure as why:
            for log in ("serial.log", "qemu.log", "driver.log"):
                if (directory / log).exists():
                    print(f"----- {log}\n{(directory / log).read_text(errors='replace')}")
            print(f"FAIL {options.name}: {why}")
            return 1
    print(f"PASS {options.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
