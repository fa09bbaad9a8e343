#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs every query of the Grafana dashboard and every recording rule against a real Prometheus that scrapes a real marketd.

usage: dashboard.py SOURCE_DIR MARKETD NOMCTL WORK_DIR

A query that fails, or finds nothing in a market where guests bid and rounds settle, is wrong. Skips (77) without Prometheus.
"""

import json
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

PROMETHEUS = "/usr/bin/prometheus"
START_SECONDS = 60
FIND_SECONDS = 20
# What a market without faults has nothing of.
MAY_BE_EMPTY = {"Calls that failed on our side": "no call fails here",
                "How evenly tenants are served": "nobody bids here"}
RULES_MAY_BE_EMPTY = {"instance:grpc_server_call_duration_seconds_count:failed_ratio_5m"}

CONFIG = """listen: 127.0.0.1:0
plaintext: true
metrics_listen: 127.0.0.1:0
ledger: {work}/ledger.sqlite
operator_token_file: {work}/token
retention: 1s
hosts:
  - id: sim
    kind: simulated
    guests_bid: true
    period_ms: 1000
    resources:
      - {{kind: memory, unit_size: 1048576, capacity_units: 64, rule: mpsp/1, reserve_unit_price_microcredits: 10, forward: {{share_percent: 20}}}}
      - {{kind: cpu, unit_size: 10, capacity_units: 100, rule: uniform_price/1, reserve_unit_price_microcredits: 20}}
"""

PROMETHEUS_CONFIG = """global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [{source}/deploy/prometheus/rules.yaml, {source}/deploy/prometheus/alerts.yaml]
scrape_configs:
  - {{job_name: nom-marketd, static_configs: [{{targets: ["{metrics}"]}}]}}
"""


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(what: str, test):
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        value = test()
        if value:
            return value
        time.sleep(0.1)
    raise SystemExit(f"{what}: not within {START_SECONDS} s")


def get(port: int, path: str, **arguments):
    url = f"http://127.0.0.1:{port}{path}?{urllib.parse.urlencode(arguments)}"
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        try:
            return json.load(error)
        except ValueError:  # "Service Unavailable", while it starts.
            return None
    except OSError:
        return None


def queries(dashboard: dict):
    """(panel, query) with the dashboard's variables filled in."""
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], re.sub(r"\$(host|resource)\b", ".+", target["expr"])


def main() -> int:
    source, marketd, nomctl, work = sys.argv[1:]
    if not pathlib.Path(PROMETHEUS).exists():
        print("skipped: no Prometheus")
        return 77
    dashboard = json.loads((pathlib.Path(source) / "deploy/grafana/nom.json").read_text())
    work = pathlib.Path(work)
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    (work / "token").write_text("the-operator-of-this-test\n")
    (work / "token").chmod(0o600)
    (work / "marketd.yaml").write_text(CONFIG.format(work=work))
    children = []
    try:
        log = (work / "log").open("w")
        children.append(subprocess.Popen([marketd, "--config", work / "marketd.yaml", "--ready-file", work / "ready"],
                                         stdout=log, stderr=log))
        wait_for("marketd", lambda: (work / "ready").exists() or children[0].poll() is not None)
        if children[0].poll() is not None:
            raise SystemExit("marketd did not start:\n" + (work / "log").read_text())
        ready = dict(line.split("=", 1) for line in (work / "ready").read_text().splitlines())
        operator = [nomctl, "--target", ready["grpc"], "--token-file", work / "token"]
        for command in (["tenant", "create", "shop", "--write", work / "shop.token"], ["deposit", "shop", "1000cr"],
                        ["admit", "--tenant", "shop", "--name", "web", "--image", "web.elf", "--seed", "memory=4", "--seed", "cpu=5"]):
            subprocess.run([*operator, *command], check=True, stdout=log, stderr=log)
        # Somebody who watches: else nobody is told anything.
        children.append(subprocess.Popen([*operator, "watch"], stdout=subprocess.DEVNULL, stderr=log))
        port = free_port()
        (work / "prometheus.yaml").write_text(PROMETHEUS_CONFIG.format(source=source, metrics=ready["metrics"]))
        children.append(subprocess.Popen(
            [PROMETHEUS, f"--config.file={work}/prometheus.yaml", f"--storage.tsdb.path={work}/data",
             f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log))

        def value(query: str):
            answer = get(port, "/api/v1/query", query=query)
            return answer and answer.get("data", {}).get("result")

        def found(query: str) -> bool:
            """Waits for an answer: rates need two scrapes, and rules are worked out once a second."""
            end = time.monotonic() + FIND_SECONDS
            while not value(query):
                if time.monotonic() > end:
                    return False
                time.sleep(0.2)
            return True

        # Rounds that settled, seen by two scrapes at least: what rate() needs.
        wait_for("Prometheus", lambda: value('rate(nom_market_rounds_total{outcome="settled"}[30s]) > 0'))
        wrong, ran = [], 0
        for title, query in queries(dashboard):
            answer = get(port, "/api/v1/query", query=query)
            ran += 1
            if not answer or answer["status"] != "success":
                wrong.append(f"{title}: {query}\n    {answer and answer.get('error')}")
            elif title not in MAY_BE_EMPTY and not found(query):
                wrong.append(f"{title}: {query}\n    finds nothing")
        rules = 0
        for group in get(port, "/api/v1/rules")["data"]["groups"]:
            for rule in group["rules"]:
                rules += 1
                if rule["health"] != "ok":
                    wrong.append(f"rule {rule['name']}: {rule['health']} {rule.get('lastError', '')}")
                elif rule["type"] == "recording" and rule["name"] not in RULES_MAY_BE_EMPTY and not found(rule["name"]):
                    wrong.append(f"rule {rule['name']}: records nothing")
        if ran < 20 or rules < 10:
            wrong.append(f"only {ran} queries and {rules} rules found")
        print("\n".join(wrong) or f"{ran} queries of the dashboard and {rules} rules: all find what they ask for")
        return 1 if wrong else 0
    finally:
        for child in reversed(children):
            child.terminate()
        for child in reversed(children):
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                child.kill()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
