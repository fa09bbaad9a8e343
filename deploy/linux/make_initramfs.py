#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes an initramfs: busybox, a script as /init, programs with the libraries that they need, other files.

usage: make_initramfs.py OUT --busybox FILE --init FILE [--program FILE[:PLACE]]... [--file FILE:PLACE]...
       make_initramfs.py OUT --root DIR --init-link PLACE    a whole root, with a link as /init

The newc format of cpio (Linux Documentation/driver-api/early-userspace/buffer-format.rst), not compressed: reading
it takes the guest less than unpacking would.
"""

import argparse
import os
import re
import stat
import subprocess
import sys

APPLETS = ("sh mount umount mkdir cat echo ls ps kill sleep poweroff reboot ip head tail dmesg true rm chmod chown "
           "modprobe insmod seq date grep sed awk find nc wget test mkswap swapon dd sync id env cut tr wc sort su od pidof stat cp printf taskset uname ping devmem md5sum ifconfig").split()


LIBRARIES = "/usr/lib/x86_64-linux-gnu/"


class Archive:
    def __init__(self, out):
        self.out = out
        self.size = 0
        self.inode = 0
        self.known = set()

    def pad(self):
        rest = -self.size % 4
        self.write(b"\0" * rest)

    def write(self, data):
        self.out.write(data)
        self.size += len(data)

    def entry(self, name, mode, data=b"", owner=(0, 0)):
        name = name.strip("/")
        if name in self.known:
            return
        self.known.add(name)
        if "/" in name:
            self.folder(os.path.dirname(name))
        self.inode += 1
        fields = (self.inode, mode, *owner, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        self.write(b"070701" + b"".join(b"%08x" % f for f in fields) + name.encode() + b"\0")
        self.pad()
        self.write(data)
        self.pad()

    def folder(self, name):
        if name.strip("/"):
            self.entry(name, 0o040755)

    def file(self, name, path, mode):
        with open(path, "rb") as data:
            self.entry(name, 0o100000 | mode, data.read())

    def link(self, name, target):
        self.entry(name, 0o120777, target.encode())

    def tree(self, root):
        """Folders, files and links below a root, with their owners and modes."""
        for folder, folders, files in os.walk(root):
            for base in sorted(folders) + sorted(files):
                path = os.path.join(folder, base)
                name = os.path.relpath(path, root)
                info = os.lstat(path)
                owner = (info.st_uid, info.st_gid)
                if stat.S_ISLNK(info.st_mode):
                    self.entry(name, info.st_mode, os.readlink(path).encode(), owner)
                elif stat.S_ISDIR(info.st_mode):
                    self.entry(name, info.st_mode, b"", owner)
                elif stat.S_ISREG(info.st_mode):
                    with open(path, "rb") as data:
                        self.entry(name, info.st_mode, data.read(), owner)

    def end(self):
        self.entry("TRAILER!!!", 0)


def libraries(program):
    """The shared libraries of a program and its interpreter, by the names under which they are looked for."""
    text = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    if "not found" in text:
        sys.exit(f"make_initramfs: {program}: {text}")
    return re.findall(r"(/\S+) \(0x", text)


def add_busybox_root(archive, arguments):
    for folder in ("proc", "sys", "dev", "tmp", "run", "etc", "root", "var/lib/nom", "bin"):
        archive.folder(folder)
    archive.file("bin/busybox", arguments.busybox, 0o755)
    for applet in APPLETS:
        archive.link("bin/" + applet, "busybox")
    archive.file("init", arguments.init, 0o755)
    for item in arguments.program:
        path, _, place = item.partition(":")
        archive.file(place or "bin/" + os.path.basename(path), path, 0o755)
        for library in libraries(path):
            # One that lies elsewhere here (LD_LIBRARY_PATH) goes where it is looked for there.
            at = library if library.startswith(("/lib", "/usr/lib")) else LIBRARIES + os.path.basename(library)
            archive.file(at, os.path.realpath(library), 0o755)
    for item in arguments.file:
        path, place = item.split(":")
        archive.file(place, path, 0o644)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("--busybox")
    parser.add_argument("--init")
    parser.add_argument("--root")
    parser.add_argument("--init-link")
    parser.add_argument("--program", action="append", default=[])
    parser.add_argument("--file", action="append", default=[])
    arguments = parser.parse_args()
    temporary = arguments.out + ".new"
    with open(temporary, "wb") as out:
        archive = Archive(out)
        if arguments.root:
            archive.tree(arguments.root)
            archive.link("init", arguments.init_link)
        else:
            add_busybox_root(archive, arguments)
        archive.end()
    os.rename(temporary, arguments.out)


main()
