// SPDX-License-Identifier: Apache-2.0
// The page: asks marketd for the market's state in rhythm with its rounds, and lets the view that is open show it.

import { ApiError, get, token } from "./api.js";
import { clock, duration } from "./format.js";
import { h, setText } from "./dom.js";
import * as market from "./views/market.js";
import * as holdings from "./views/holdings.js";
import * as guest from "./views/guest.js";
import * as contracts from "./views/contracts.js";
import * as rounds from "./views/rounds.js";
import * as health from "./views/health.js";

const VIEWS = {
  market: { title: "Prices", view: market },
  holdings: { title: "Who holds what", view: holdings },
  contracts: { title: "Contracts", view: contracts },
  rounds: { title: "Rounds", view: rounds },
  health: { title: "Health", view: health },
  guest: { view: guest },
};
const ROUNDS_KEPT = 2880;

// What is known. Views read it, and this file alone writes it.
const state = {
  market: null, // The last answer of /api/v1/market.
  host: null, // Of it, the one that is shown.
  resources: new Map(), // Of the host, by kind.
  history: null, // { hostId, ids, times, series: Map(kind -> columns), complete }
  skew: 0, // The market's clock less ours, in ms.
  heard: 0, // When marketd last answered, by our clock.
  failure: null,
  get caller() {
    return this.market?.caller ?? "public";
  },
};
let open = null; // { name, view: { element, update, destroy } }
let wanted = null; // The host that was chosen.

const $ = (id) => document.getElementById(id);
const now = () => Date.now() + state.skew;

// --- What is open ---

function route() {
  const [name, ...rest] = location.hash.replace(/^#\/?/, "").split("/");
  return VIEWS[name] ? { name, rest } : { name: "market", rest: [] };
}

function show() {
  const { name, rest } = route();
  open?.view.destroy?.();
  const view = VIEWS[name].view.make({ state, rest, now, get, signIn, fail });
  open = { name, view };
  $("main").replaceChildren(view.element);
  document.title = `${VIEWS[name].title ?? "Guest"} – nom market`;
  for (const link of $("nav").children) {
    const current = link.getAttribute("href") === `#/${name === "guest" ? "holdings" : name}`;
    if (current) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (state.market) view.update();
}

$("nav").append(
  ...Object.entries(VIEWS).filter(([, v]) => v.title).map(([name, v]) => h("a", { href: `#/${name}` }, v.title)),
);
addEventListener("hashchange", () => {
  show();
  scrollTo(0, 0);
  $("main").focus({ preventScroll: true });
});

// --- The frame around it ---

function banner() {
  const host = state.host;
  const problems = [];
  if (state.failure && state.failure.code === "UNREACHABLE") {
    problems.push(
      state.heard
        ? `Connection lost: marketd has not answered since ${clock(state.heard)}. What is shown is from then; trying again.`
        : "marketd does not answer. Trying again.",
    );
  } else if (state.failure) {
    problems.push(`${state.failure.message}. Trying again.`);
  } else if (host && !host.connected) {
    problems.push(
      `Host ${host.state.host_id} is not connected${host.detail ? `: ${host.detail}` : ""}. Guests keep what they hold; no round takes effect.`,
    );
  } else if (host && host.state.priced_round_id > 0 && Date.parse(host.state.valid_until) < now()) {
    problems.push(`Prices are stale: they were good until ${clock(Date.parse(host.state.valid_until))}.`);
  }
  const text = problems.join(" ");
  if ($("banner").hidden !== !text) $("banner").hidden = !text;
  setText($("banner"), text);
}

// Words for where the round stands, told every second.
function tick() {
  banner();
  const host = state.host;
  $("clock").hidden = !host;
  if (!host) return;
  const { round_id: round, phase, close_time: close, effective_time: effective } = host.state;
  let text = "No round runs.";
  if (state.failure) {
    text = round > 0 ? `Round ${round}, when last heard` : "";
  } else if (host.connected && round > 0) {
    const left = Date.parse(phase === "grace" ? effective : close) - now();
    const what = phase === "grace" ? "takes effect" : "closes";
    text = `Round ${round} ${what} ${left > 0 ? `in ${duration(left)}` : "now"}`;
  }
  setText($("clock-text"), text);
  const period = host.state.period_ms;
  const start = Date.parse(effective) - period;
  $("clock-bar").value = host.connected && round > 0 && !state.failure ? Math.min(1, Math.max(0, (now() - start) / period)) : 0;
}
$("clock").append(
  h("span", { id: "clock-text" }),
  h("progress", { id: "clock-bar", max: "1", value: "0", "aria-label": "How far the round has come" }),
);

function frame() {
  const { market: m, host } = state;
  setText($("version"), m ? `marketd ${m.version}` : "");
  const names = m.hosts.map((one) => one.state.host_id);
  $("host-choice").hidden = names.length < 2;
  if ([...$("host").options].map((o) => o.value).join() !== names.join()) {
    $("host").replaceChildren(...names.map((name) => h("option", { value: name }, name)));
  }
  if (host) $("host").value = host.state.host_id;
  const who = { operator: "Operator", tenant: m.tenant_id }[m.caller];
  setText($("account"), who ? `${who}: sign out` : "Sign in");
}
$("host").addEventListener("change", () => {
  wanted = $("host").value;
  state.history = null;
  refresh().then(show);
});

// --- Tokens ---

function signIn() {
  $("token").value = "";
  setText($("token-error"), "");
  $("sign-in").showModal();
  $("token").focus();
}
$("account").addEventListener("click", () => {
  if (token.get()) {
    token.clear();
    refresh().then(show);
  } else {
    signIn();
  }
});
$("sign-in-cancel").addEventListener("click", () => $("sign-in").close());
$("sign-in-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const value = $("token").value.trim();
  // A header can't hold anything else, and no token does.
  if (!/^[\x21-\x7e]+$/.test(value)) {
    setText($("token-error"), "A token is made of letters, digits and signs, without blanks.");
    return;
  }
  try {
    await get("market", {}, { as: value });
  } catch (error) {
    setText(
      $("token-error"),
      error.code === "UNAUTHENTICATED" ? "This market does not know this token." : error.message,
    );
    $("token").select();
    return;
  }
  token.set(value);
  $("sign-in").close();
  await refresh();
  show();
});

// A token that was good is so no more: what everybody may see is still there.
function fail(error) {
  if (error instanceof ApiError && error.code === "UNAUTHENTICATED" && token.get()) {
    token.clear();
    refresh().then(show);
  }
}

// --- What marketd says ---

function append(history, page) {
  const from = page.round_ids.findIndex((id) => !history.ids.length || id > history.ids.at(-1));
  if (from < 0) return;
  const before = history.ids.length;
  history.ids.push(...page.round_ids.slice(from));
  history.times.push(...page.close_time_unix_ms.slice(from).map((ms) => ms / 1000));
  for (const series of page.series) {
    let columns = history.series.get(series.kind);
    if (!columns) {
      const none = () => Array(before).fill(null);
      columns = { price: none(), reserve: none(), supply: none(), demand: none(), sold: none(), forecast: none(), forward: none() };
      history.series.set(series.kind, columns);
    }
    const add = (to, values) => to.push(...values.slice(from).map((value) => (value < 0 ? null : value)));
    add(columns.price, series.unit_price_microcredits);
    add(columns.reserve, series.reserve_unit_price_microcredits);
    add(columns.supply, series.supply_units);
    add(columns.demand, series.demand_units);
    add(columns.sold, series.sold_units);
    add(columns.forecast, series.forecast_unit_price_microcredits);
    add(columns.forward, series.forward_unit_price_microcredits);
  }
  // A kind that was not sold in these rounds.
  for (const columns of history.series.values()) {
    for (const column of Object.values(columns)) while (column.length < history.ids.length) column.push(null);
  }
  const excess = history.ids.length - ROUNDS_KEPT;
  if (excess > 0) {
    history.ids.splice(0, excess);
    history.times.splice(0, excess);
    for (const columns of history.series.values()) Object.values(columns).forEach((c) => c.splice(0, excess));
  }
}

async function readPrices(host) {
  const id = host.state.host_id;
  let history = state.history;
  const known = history?.hostId === id && history.ledger === host.state.ledger_id && history.complete;
  const missing = known ? host.state.priced_round_id - (history.ids.at(-1) ?? 0) : ROUNDS_KEPT;
  if (missing <= 0) return;
  const page = await get("prices", { host_id: id, page_size: Math.min(missing, ROUNDS_KEPT) });
  if (!known) {
    history = { hostId: id, ledger: host.state.ledger_id, ids: [], times: [], series: new Map() };
  }
  history.complete = page.complete;
  append(history, page);
  state.history = history;
}

async function refresh() {
  try {
    const message = await get("market");
    state.market = message;
    state.skew = Date.parse(message.market_time) - Date.now();
    state.heard = Date.now();
    state.host = message.hosts.find((one) => one.state.host_id === wanted) ?? message.hosts[0] ?? null;
    state.resources = new Map(state.host?.state.resources.map((r) => [r.kind, r]) ?? []);
    if (state.host) await readPrices(state.host);
    state.failure = null;
    frame();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    state.failure = error;
    fail(error);
  }
  tick();
}

async function run() {
  let failures = 0;
  for (;;) {
    if (!document.hidden) {
      await refresh();
      failures = state.failure ? failures + 1 : 0;
      if (state.market) await open?.view.update();
      else if (state.failure) open?.view.element.replaceChildren(h("p", { class: "empty" }, "Nothing to show yet."));
    }
    // Four times a round, neither in a hurry nor asleep; ever slower while nobody answers.
    const rhythm = failures
      ? Math.min(15_000, 1000 * 2 ** Math.min(failures - 1, 4))
      : Math.min(3000, Math.max(500, (state.host?.state.period_ms ?? 4000) / 4));
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, rhythm);
      document.addEventListener("visibilitychange", () => (clearTimeout(timer), resolve()), { once: true });
      addEventListener("online", () => (clearTimeout(timer), resolve()), { once: true });
    });
  }
}

show();
setInterval(tick, 250);
run();
