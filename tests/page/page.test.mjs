// SPDX-License-Identifier: Apache-2.0
// The page as people meet it: what it shows to whom, live; what it says when something is wrong; by keyboard, on a phone,
// in the dark. Nothing waits for a time: each step waits for what it is about.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { readFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { Market, OPERATOR, closeBrowser, open } from "./market.mjs";

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

// WCAG 2.1 AA, as axe-core sees it: names, roles, contrast, order of headings and more.
async function assertAccessible(page, what) {
  // Not as a script element, which the page's own policy refuses.
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21aa", "best-practice"] }));
  const found = violations.map((v) => `${v.id}: ${v.nodes.map((n) => `${n.html} ${n.failureSummary}`).slice(0, 3).join(" | ")}`);
  assert.deepEqual(found, [], what);
}

const text = (page, selector) => page.locator(selector).innerText();
const roundOf = async (page) => Number(/Round (\d+)/.exec(await text(page, "#clock-text"))?.[1] ?? 0);

describe("a market that runs", () => {
  let market;
  let shop;
  let lab;
  before(async () => {
    market = await Market.start();
    shop = await market.tenant("shop", "web");
    lab = await market.tenant("lab", "train");
  });
  after(async () => market.end());

  test("everybody sees prices, live, and nothing of tenants", async () => {
    const page = await open(market.url);
    await page.getByRole("heading", { name: "Memory" }).waitFor();
    await page.locator(".u-over").first().waitFor();
    assert.match(await text(page, "section[aria-label=Memory] .figure"), /^[\d.,\u202f]+ cr$/);
    // Each chart says what it shows, and has its numbers.
    const words = await page.locator("section[aria-label=Memory] .plot").first().getAttribute("aria-label");
    assert.match(words, /^Price of Memory over \d+ rounds, now .* cr/);
    await page.locator("section[aria-label=Memory] summary").first().click();
    await page.locator("section[aria-label=Memory] details[open] tbody tr").first().waitFor();
    // It follows the rounds by itself.
    const first = await roundOf(page);
    await page.waitForFunction((round) => Number(/Round (\d+)/.exec(document.querySelector("#clock-text").textContent)?.[1]) > round, first);
    assert.equal(await page.getByText("What was bid takes a token").count(), 2);
    await page.getByRole("link", { name: "Who holds what" }).click();
    await page.getByText("2 guests run here").waitFor();
    const seen = await page.locator("body").innerText();
    for (const name of ["shop", "web", "lab", "train"]) assert.ok(!new RegExp(`\\b${name}\\b`).test(seen), name);
    // Nothing from elsewhere, and no token to anybody.
    assert.ok(page.requests.length > 5);
    for (const request of page.requests) {
      assert.ok(request.url().startsWith(market.url), request.url());
      assert.equal((await request.allHeaders()).authorization, undefined);
    }
    assert.deepEqual(await page.context().cookies(), []);
    assert.deepEqual(page.complaints, []);
    await page.context().close();
  });

  test("a tenant signs in by keyboard, sees its own, and signs out", async () => {
    const page = await open(`${market.url}#/holdings`);
    await page.locator("#account").focus();
    await page.keyboard.press("Enter");
    await page.keyboard.type("wrong-token-of-nobody");
    await page.keyboard.press("Enter");
    await page.getByText("This market does not know this token.").waitFor();
    await page.keyboard.type(shop); // What was wrong is selected.
    await page.keyboard.press("Enter");
    await page.getByRole("link", { name: "web" }).waitFor();
    assert.equal(await page.getByText("train").count(), 0);
    assert.match(await text(page, "#account"), /^shop: sign out$/);
    // Its guest's life.
    await page.getByRole("link", { name: "web" }).click();
    await page.getByRole("heading", { name: "web" }).waitFor();
    await page.locator("section:has(> h2:text-is('Rounds')) tbody tr").nth(2).waitFor();
    assert.match(await page.locator(".plot").first().getAttribute("aria-label"), /that the guest held over \d+ rounds/);
    // Somebody else's is not there.
    await page.goto(`${market.url}#/guest/2`);
    await page.getByText("There is no guest 2 that you may see.").waitFor();
    // Its own bids alone are drawn.
    await page.goto(`${market.url}#/market`);
    await page.getByText("your own bids; those of others are theirs: 1.").first().waitFor();
    await page.goto(`${market.url}#/rounds`);
    await page.getByText("You were charged").waitFor();
    // What a round came to, but not what the others' bids are worth.
    const whole = page.locator("section").filter({ has: page.getByRole("heading", { name: /^What round \d+ came to$/ }) });
    assert.match(await whole.locator("thead").innerText(), /^Resource\s+Charged\s+Changed hands\s+Evenness\s*$/);
    // The token is this tab's: not in the address, not kept beyond it.
    assert.ok(!page.url().includes(shop));
    assert.equal(await page.evaluate(() => Object.keys(localStorage).length), 0);
    await page.locator("#account").click();
    await page.getByRole("button", { name: "Sign in" }).first().waitFor();
    assert.equal(await page.evaluate(() => sessionStorage.getItem("nom.token")), null);
    assert.equal(await page.getByText("You were charged").count(), 0);
    // A refused token is told by the browser, too, and is no fault.
    assert.deepEqual(page.complaints.filter((c) => !c.includes("401") && !c.includes("404")), []);
    await page.context().close();
  });

  test("contracts beside the auction: prices for everybody, who holds them for whom they concern", async () => {
    const page = await open(market.url);
    // The forward price and the forecast stand beside the auction's, in words and as lines of the chart.
    const memory = page.locator("section[aria-label=Memory]");
    await memory.getByText(/^By contract [\d.,\u202f]+ cr; the forecast is [\d.,\u202f]+ cr\. .* are sold so\.$/).waitFor();
    await memory.locator(".u-legend").getByText("Forecast").first().waitFor();
    assert.match(await memory.locator(".plot").first().getAttribute("aria-label"), /By contract .* cr; the forecast is/);
    await memory.locator("summary").first().click();
    const heads = await memory.locator("details[open] thead").first().innerText();
    assert.match(heads, /By contract \(cr\)\s+Forecast \(cr\)/);
    await page.waitForFunction(() => /\d/.test(document.querySelector("section[aria-label=Memory] details[open] tbody tr td:nth-child(4)")?.textContent ?? ""));
    assert.equal(await page.locator("section[aria-label=Processor]").getByText("By contract").count(), 0, "not sold so");
    await page.getByRole("link", { name: "Contracts" }).click();
    await page.getByRole("row", { name: /^Memory .* cr .* cr .* 256 MiB 1440 rounds$/ }).waitFor();
    await page.getByText("Who holds which contract takes a token.").waitFor();
    assert.equal(await page.getByText("guest 1").count(), 0);
    await page.context().close();

    // A contract and a quote of one tenant: it and the operator see them, live, and another tenant does not.
    const quoted = JSON.parse(await market.nomctl("quote", "web", "memory=12", "--rounds", "500", "--json"));
    await market.nomctl("buy", String(quoted.offer_id), "--guest", "web", "--renew-ceiling", "2cr");
    await market.nomctl("quote", "web", "memory=3", "--rounds", "7");
    for (const token of [shop, OPERATOR]) {
      const own = await open(`${market.url}#/contracts`, { token });
      await own.getByRole("row", { name: /^\d+ guest 1 contract 12 MiB .* renewed up to 2 cr / }).waitFor();
      await own.getByRole("row", { name: /^2 quote guest 1 3 MiB .* 7 / }).waitFor();
      await own.getByRole("row", { name: /^Memory .* 12 MiB, 5 % 256 MiB/ }).waitFor();
      assert.deepEqual(own.complaints, []);
      await own.context().close();
    }
    const other = await open(`${market.url}#/contracts`, { token: lab });
    await other.getByText("None is open.").nth(1).waitFor();
    assert.equal(await other.getByText("guest 1").count(), 0);
    await other.context().close();
  });

  test("the operator sees all, with the demand curve of all bids", async () => {
    const page = await open(market.url, { token: OPERATOR });
    await page.getByText(/Round \d+, all bids: 2\./).first().waitFor();
    const plot = page.locator("section[aria-label=Processor] .plot").nth(2);
    assert.match(await plot.getAttribute("aria-label"), /^Demand curve of Processor in round \d+: 2 bids ask for up to .* were sold, at .* cr\.$/);
    // Something is drawn: the canvas is not one colour.
    const colours = await plot.locator("canvas").evaluate((canvas) => {
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      const seen = new Set();
      for (let i = 0; i < data.length; i += 4) seen.add(`${data[i]},${data[i + 1]},${data[i + 2]}`);
      return seen.size;
    });
    assert.ok(colours > 10, `${colours} colours`);
    await page.getByRole("link", { name: "Who holds what" }).click();
    await page.getByRole("link", { name: "web" }).waitFor();
    await page.getByRole("link", { name: "train" }).waitFor();
    // What a round came to is what the API says of that round.
    await page.goto(`${market.url}#/rounds`);
    const whole = page.locator("section").filter({ has: page.getByRole("heading", { name: /^What round \d+ came to$/ }) });
    await whole.locator("tbody tr").nth(1).waitFor();
    const [title, cells] = await whole.evaluate((section) => [
      section.querySelector("h2").textContent, [...section.querySelectorAll("tbody tr")].map((row) => [...row.cells].map((cell) => cell.textContent))]);
    const id = Number(/\d+/.exec(title)[0]);
    const { rounds } = await (await fetch(`${market.url}api/v1/rounds?page_size=1&before_round_id=${id + 1}`, { headers: { authorization: `Bearer ${OPERATOR}` } })).json();
    assert.equal(rounds[0].round_id, id);
    assert.deepEqual(cells.map((row) => row[0]), rounds[0].prices.map((p) => ({ cpu: "Processor", memory: "Memory" })[p.kind]));
    rounds[0].prices.forEach(({ measures: m }, i) => {
      const plain = (text) => Number(text.replaceAll("\u202f", "").replace(/ (cr|%)$/, ""));
      const [, charged, , evenness, worth, most] = cells[i];
      for (const [text, micro] of [[charged, m.revenue_microcredits], [worth, m.welfare_microcredits], [most, m.welfare_bound_microcredits]]) {
        assert.ok(Math.abs(plain(text) - micro / 1e6) <= Math.max(1e-6, micro / 1e6 / 100), `${text} is ${micro}`);
      }
      assert.equal(plain(evenness), Math.round(m.jain_index_ppm / 10_000));
    });
    assert.deepEqual(page.complaints, []);
    await page.context().close();
  });

  test("all views are accessible, in light and dark, and fit a phone", async () => {
    for (const [colorScheme, width] of [["light", 1280], ["dark", 360]]) {
      const page = await open(market.url, { token: OPERATOR, colorScheme, width, height: 740 });
      for (const [view, wait] of [["market", ".u-over"], ["holdings", "tbody a"], ["guest/1", ".u-over"], ["contracts", "tbody tr"], ["rounds", "tbody tr"],
        ["health", ".mark.good"]]) {
        await page.goto(`${market.url}#/${view}`);
        await page.locator(wait).first().waitFor();
        await assertAccessible(page, `${view}, ${colorScheme}, ${width}`);
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(wide <= 0, `${view} is ${wide} pixels wider than a window of ${width}`);
      }
      await page.locator("#account").click(); // Out, and in again by the dialog.
      await page.getByRole("button", { name: "Sign in" }).first().click();
      await page.locator("#token").waitFor();
      await assertAccessible(page, `sign-in, ${colorScheme}`);
      assert.deepEqual(page.complaints, []);
      await page.context().close();
    }
  });

  test("a host that is lost and prices that are stale are said", async () => {
    const page = await open(`${market.url}#/health`, { token: OPERATOR });
    const answer = async (change) => {
      await page.unroute("**/api/v1/market");
      await page.route("**/api/v1/market", async (route) => {
        const response = await route.fetch();
        const message = await response.json();
        change(message);
        await route.fulfill({ json: message });
      });
    };
    await answer((m) => Object.assign(m.hosts[0], { connected: false, detail: "no machine at /dev/null" }));
    await page.getByText("Host sim is not connected: no machine at /dev/null.").waitFor();
    await page.getByText("No round runs.").waitFor();
    await answer((m) => Object.assign(m.hosts[0].state, { valid_until: "2026-01-01T00:00:00Z" }));
    await page.getByText("Prices are stale: they were good until").waitFor();
    await page.getByText(/stale for \d+ days/).waitFor();
    await page.unroute("**/api/v1/market");
    await page.locator("#banner").waitFor({ state: "hidden" });
    // And a machine that has no market at all.
    await answer((m) => (m.hosts = []));
    await page.goto(`${market.url}#/market`);
    await page.getByText("This marketd has no host.").waitFor();
    assert.deepEqual(page.complaints, []);
    await page.context().close();
  });

  test("a token that is good no longer shows what everybody sees", async () => {
    const page = await open(`${market.url}#/holdings`, { token: "a-token-that-was-good-once" });
    await page.getByText("2 guests run here").waitFor();
    assert.equal(await page.evaluate(() => sessionStorage.getItem("nom.token")), null);
    await page.context().close();
  });
});

test("before the first round, and when marketd goes and comes", async () => {
  const market = await Market.start({ period: 600_000, guestsBid: false });
  try {
    const page = await open(market.url);
    await page.getByText("No round has been decided yet.").waitFor();
    await page.goto(`${market.url}#/rounds`);
    await page.getByText("No round has been decided yet.").waitFor();
    await page.goto(`${market.url}#/health`);
    await page.getByText("there are none yet").waitFor();
    await market.down();
    await page.getByText("Connection lost: marketd has not answered since").waitFor();
    assert.ok(await page.getByText("does not answer").count() > 0);
    await market.up();
    await page.locator("#banner").waitFor({ state: "hidden" });
    await page.getByText("answers; version").waitFor();
    await page.context().close();
  } finally {
    await market.end();
  }
});

after(closeBrowser);
