#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the commands of the pages that people read, against a market of its own.

usage: run_pages.py SOURCE_DIR BUILD_DIR WORK_DIR PAGE...

A page's fenced blocks, by what stands behind the three backticks:

  sh             commands; those of a page run in order, in one shell, and each must succeed
  sh test=NAME   commands that the ctest named runs (an installation, a boot); that test must exist
  LANG file=NAME a file, written to NAME in the page's working directory before what follows runs
  LANG           shown only; must not begin with a program of ours: that would be a command that nobody runs

/etc/nom, /var/lib/nom, /usr/share/nom and the ports of the sample configuration are replaced by places of the run's own;
sudo, systemctl and journalctl by stand-ins that act on that run's marketd. A round lasts a second.
"""

import os
import pathlib
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time

FENCE = re.compile(r"^```(.*)$")
COMMANDS = re.compile(r"^\s*(\$ )?(sudo|nomctl|marketd|\./nom|cmake|apt|systemctl|promtool|openssl)\b")
PAGE_SECONDS = 400

SYSTEMCTL = r"""#!/bin/bash
# Stands in for systemd: one unit, nom-marketd, started as its ExecStart says.
verb=
for word in "$@"; do [[ $word == -* || $word == nom-marketd* ]] || { verb=$word; break; }; done
dir=@WORK@
pid() { cat "$dir/marketd.pid" 2>/dev/null; }
up() { [[ -n $(pid) ]] && kill -0 "$(pid)" 2>/dev/null; }
stop() {
  up || return 0
  kill -TERM "$(pid)"
  for ((n = 0; n < 400; n++)); do up || break; sleep 0.05; done
  rm -f "$dir/marketd.pid"
}
start() {
  rm -f "$dir/ready"
  setsid timeout -k 5 600 @MARKETD@ --config "$dir/etc/nom/marketd.yaml" --ready-file "$dir/ready" \
    >>"$dir/marketd.log" 2>&1 </dev/null &
  for ((n = 0; n < 1200; n++)); do
    if [[ -s $dir/ready ]]; then sed -n 's/^pid=//p' "$dir/ready" >"$dir/marketd.pid"; return 0; fi
    kill -0 $! 2>/dev/null || break
    sleep 0.05
  done
  tail -n 5 "$dir/marketd.log" >&2
  return 1
}
case $verb in
  start) up || start ;;
  stop) stop ;;
  restart) stop; start ;;
  reload) kill -HUP "$(pid)" ;;
  is-active | status) up && echo active ;;
  *) echo "systemctl: no stand-in for $*" >&2; exit 1 ;;
esac
"""


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Page:
    def __init__(self, path: pathlib.Path, source: pathlib.Path, build: pathlib.Path, work: pathlib.Path):
        self.path, self.source, self.build, self.work = path, source, build, work
        self.grpc, self.metrics, self.page = free_port(), free_port(), free_port()

    def here(self, text: str) -> str:
        """The text with the system's places replaced by this run's."""
        for place in ("/etc/nom", "/var/lib/nom"):
            text = text.replace(place, f"{self.work}{place}")
        text = text.replace("/usr/share/nom/proto", f"{self.source}/proto")
        text = text.replace("/usr/share/nom/prometheus", f"{self.source}/deploy/prometheus")
        text = text.replace("/usr/share/nom/page", f"{self.build}/marketd/page/web/dist")
        text = re.sub(r"(localhost|127\.0\.0\.1):7080", rf"\1:{self.page}", text)
        text = re.sub(r"(localhost|127\.0\.0\.1):7070", rf"\1:{self.grpc}", text)
        return re.sub(r"(localhost|127\.0\.0\.1):9464", rf"\1:{self.metrics}", text)

    def blocks(self):
        """(line, info, text) of each fenced block."""
        info, begin, lines = None, 0, []
        for number, line in enumerate(self.path.read_text().splitlines(), 1):
            fence = FENCE.match(line)
            if info is None and fence:
                info, begin, lines = fence.group(1).split(), number, []
            elif info is not None and line.strip() == "```":
                yield begin, info, "\n".join(lines) + "\n"
                info = None
            elif info is not None:
                lines.append(line)
            elif line.startswith("    ") and COMMANDS.match(line):
                raise SystemExit(f"{self.path}:{number}: a command outside of a fenced block: nobody runs it")

    def script(self, tests: set[str]) -> str:
        out = ["set -euo pipefail"]
        for line, info, text in self.blocks():
            words = dict(w.split("=", 1) for w in info if "=" in w)
            language = info[0] if info else ""
            if "file" in words:
                name = words["file"]
                out.append(f"mkdir -p {shlex.quote(str(pathlib.PurePath(name).parent))}")
                out.append(f"cat >{shlex.quote(name)} <<'END-OF-FILE'\n{self.here(text)}END-OF-FILE")
            elif language == "sh" and "test" in words:
                if words["test"] not in tests:
                    raise SystemExit(f"{self.path}:{line}: there is no test {words['test']}")
            elif language == "sh":
                out.append(f"at={line}\n{self.here(text)}")
            elif any(COMMANDS.match(each) for each in text.splitlines()):
                raise SystemExit(f"{self.path}:{line}: commands in a block that is not sh: nobody runs them")
        return "\n".join(out) + "\n"

    def prepare(self):
        if self.work.exists():
            shutil.rmtree(self.work)
        for folder in ("bin", "home", "etc/nom", "var/lib/nom", "page"):
            (self.work / folder).mkdir(parents=True)
        config = (self.source / "deploy/marketd.yaml").read_text()
        config = self.here(config).replace("period_ms: 60000", "period_ms: 1000")
        config = re.sub(r"grace_ms: \d+", "grace_ms: 200", config)
        config = re.sub(r"clearing_ms: \d+", "clearing_ms: 100", config)
        (self.work / "etc/nom/marketd.yaml").write_text(config)
        token = self.work / "etc/nom/operator.token"
        token.write_text(os.urandom(32).hex() + "\n")
        token.chmod(0o600)
        programs = {"nomctl": "client/cli/nomctl", "marketd": "marketd/marketd"}
        for name, path in programs.items():
            (self.work / "bin" / name).symlink_to(self.build / path)
        stands_in = {
            "sudo": '#!/bin/sh\nwhile [ "${1#-}" != "$1" ]; do [ "$1" = -u ] && shift; shift; done\n'
                    '[ "$1" = chown ] && exit 0  # The user nom is the package\'s.\nexec "$@"\n',
            "systemctl": SYSTEMCTL.replace("@WORK@", str(self.work)).replace("@MARKETD@", str(self.build / "marketd/marketd")),
            "journalctl": f"#!/bin/sh\ncat {self.work}/marketd.log\n",
        }
        for name, text in stands_in.items():
            (self.work / "bin" / name).write_text(text)
            (self.work / "bin" / name).chmod(0o755)

    def run(self, tests: set[str]) -> bool:
        script = self.script(tests)
        if "\nat=" not in script:
            print(f"{self.path.relative_to(self.source)}: nothing to run")
            return True
        self.prepare()
        environment = {
            "PATH": f"{self.work}/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(self.work / "home"),
            "NOM_TARGET": f"localhost:{self.grpc}",
            "CMAKE_PREFIX_PATH": f"{self.work}/prefix",
            "LC_ALL": "C.UTF-8",
        }
        for name in ("CCACHE_DIR", "CXX"):
            if name in os.environ:
                environment[name] = os.environ[name]
        log = self.work / "log"
        try:
            if "find_package(nom" in script:
                subprocess.run(["cmake", "--install", str(self.build), "--prefix", f"{self.work}/prefix", "--component",
                                "libnom-dev"], check=True, stdout=subprocess.DEVNULL)
            subprocess.run([f"{self.work}/bin/systemctl", "start"], check=True, env=environment)
            started = time.monotonic()
            with log.open("w") as out:
                # timeout(1) ends what the page started, too.
                code = subprocess.run(
                    ["timeout", "-k", "5", str(PAGE_SECONDS), "bash", "-c",
                     "trap 'echo \"== failed at line $at\"' ERR; set -E\n" + script],
                    cwd=self.source if self.path.parent == self.source else self.work / "page", env=environment,
                    stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT).returncode
        finally:
            subprocess.run([f"{self.work}/bin/systemctl", "stop"], env=environment)
        name = self.path.relative_to(self.source)
        if code != 0:
            print(f"{name}: exit code {code}\n" + "\n".join(log.read_text().splitlines()[-30:]))
            return False
        print(f"{name}: good in {time.monotonic() - started:.1f} s")
        return True


def main() -> int:
    source, build, work = (pathlib.Path(a).resolve() for a in sys.argv[1:4])
    listed = subprocess.run(["ctest", "--test-dir", str(build), "-N"], check=True, capture_output=True, text=True).stdout
    tests = set(re.findall(r"^ *Test +#\d+: (\S+)$", listed, re.MULTILINE))
    good = True
    for argument in sys.argv[4:]:
        path = pathlib.Path(argument).resolve()
        good &= Page(path, source, build, work / path.stem).run(tests)
    return 0 if good else 1


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
