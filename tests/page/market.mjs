// SPDX-License-Identifier: Apache-2.0
// A marketd of its own for each test that needs one, on ports that the system chooses, and a browser.

import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { chromium } from "playwright-core";

const run = promisify(execFile);
const [, , marketd, nomctl, files] = process.argv;

export const OPERATOR = "operator-token-of-the-page-tests";

// One simulated host whose guests bid by themselves.
const config = (directory, { page = "127.0.0.1:0", period = 1000, guestsBid = true }) => `listen: 127.0.0.1:0
plaintext: true
page_listen: ${page}
page_directory: ${files}
ledger: ${directory}/ledger.db
operator_token_file: ${directory}/operator.token
hosts:
  - id: sim
    kind: simulated
    guests_bid: ${guestsBid}
    period_ms: ${period}
    resources:
      - {kind: memory, unit_size: 1048576, capacity_units: 1024, rule: uniform_price/1, reserve_unit_price_microcredits: 100, seed_rent_unit_price_microcredits: 50, forward: {share_percent: 25}}
      - {kind: cpu, unit_size: 10, capacity_units: 400, rule: uniform_price/1, reserve_unit_price_microcredits: 200}
`;

export class Market {
  static async start(options = {}) {
    const self = new Market();
    self.directory = await mkdtemp(path.join(tmpdir(), "nom-page-"));
    self.options = options;
    await writeFile(path.join(self.directory, "operator.token"), OPERATOR, { mode: 0o600 });
    await self.up();
    return self;
  }

  async up() {
    const file = path.join(this.directory, "marketd.yaml");
    await writeFile(file, config(this.directory, { ...this.options, page: this.page }));
    const ready = path.join(this.directory, "ready");
    await rm(ready, { force: true });
    // Ends by itself, whatever becomes of the test.
    this.process = spawn("timeout", ["120", marketd, "--config", file, "--ready-file", ready], { stdio: ["ignore", "ignore", "inherit"] });
    this.process.on("exit", () => (this.ended = true));
    this.ended = false;
    for (;;) {
      const text = await readFile(ready, "utf8").catch(() => "");
      if (text) {
        const facts = Object.fromEntries(text.trim().split("\n").map((line) => line.split(/=(.*)/s)));
        this.page = facts.page; // The same again after a restart.
        this.grpc = facts.grpc;
        this.url = `http://${facts.page}/`;
        return;
      }
      if (this.ended) throw new Error("marketd ended before it was ready");
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async down() {
    if (this.ended) return;
    const exit = once(this.process, "exit");
    this.process.kill("SIGTERM");
    await exit;
  }

  async end() {
    await this.down();
    await rm(this.directory, { recursive: true, force: true });
  }

  async nomctl(...words) {
    const token = path.join(this.directory, "operator.token");
    return (await run(nomctl, ["--target", this.grpc, "--token-file", token, ...words])).stdout.trim();
  }

  // A tenant with money and a guest; its token.
  async tenant(name, guest) {
    const token = await this.nomctl("tenant", "create", name, "--token-only");
    await this.nomctl("deposit", name, "1000cr");
    await this.nomctl("admit", "--tenant", name, "--name", guest, "--image", "x", "--seed", "memory=40", "--seed", "cpu=5", "--memory-max", "1000");
    return token;
  }
}

let browser = null;

// A page in a window of its own; what it complains of in `complaints`.
export async function open(url, { token, width = 1280, height = 900, colorScheme = "light" } = {}) {
  // The test may run as root, where Chromium's sandbox can't; only our own page is loaded.
  browser ??= await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
  const context = await browser.newContext({ viewport: { width, height }, colorScheme, reducedMotion: "reduce" });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  page.complaints = [];
  page.requests = [];
  page.on("pageerror", (error) => page.complaints.push(error.message));
  page.on("console", (message) => message.type() === "error" && page.complaints.push(message.text()));
  page.on("request", (request) => page.requests.push(request));
  if (token) await page.addInitScript((value) => sessionStorage.setItem("nom.token", value), token);
  await page.goto(url);
  return page;
}

export async function closeBrowser() {
  await browser?.close();
}
