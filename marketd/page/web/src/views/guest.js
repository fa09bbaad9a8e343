// SPDX-License-Identifier: Apache-2.0
// One guest's life: what it held, what it was charged, what work it did, round by round.

import { aroundBars, axis, bars, chart, fromZero, stepped } from "../charts.js";
import { card, h, setText, table } from "../dom.js";
import { amount, clock, credits, guestState, inMeasure, kindName, measuresName, number, reason } from "../format.js";

const ROUNDS = 120;

const roundAxis = (c) => axis(c, "Round", { side: 2, size: 36, space: 50, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000], values: (_, ticks) => ticks.map((t) => String(t)) });
const rowsOf = (data, unit) => data[0].map((id, i) => [String(id), ...data.slice(1).map((column) => (column[i] === null ? "–" : `${number(column[i])}`))]).reverse().slice(0, 50);

function lines({ height, label, series, range = fromZero }) {
  return chart({
    height,
    make: (c) => ({
      scales: { x: { time: false, range: series[0].paths ? aroundBars : undefined }, y: { range } },
      axes: [roundAxis(c), axis(c, label)],
      series: [
        { label: "Round", value: (_, v) => (v === null ? "–" : String(v)) },
        ...series.map((s) => ({ label: s.label, stroke: c(s.colour), fill: s.fill ? c(s.fill) : undefined, width: 2, dash: s.dash, paths: s.paths ?? stepped, points: { show: false }, value: (_, v) => (v === null ? "–" : `${number(v)} ${s.unit}`) })),
      ],
    }),
    tableOf: (data) => [["Round", ...series.map((s) => `${s.label} (${s.unit})`)], rowsOf(data)],
  });
}

export function make({ state, rest, get, signIn, fail }) {
  const id = Number(rest[0]);
  const title = h("h1", {}, `Guest ${rest[0] ?? ""}`);
  const facts = h("dl", { class: "facts" });
  const body = h("div", {});
  const element = h("div", {}, h("p", { class: "crumb" }, h("a", { href: "#/holdings" }, "Who holds what"), " ›"), title, body);
  let parts = null;
  let shown = "";

  function build(resources) {
    const held = new Map();
    for (const resource of resources) {
      const unit = measuresName(resource);
      held.set(resource.kind, lines({ height: 180, label: unit, series: [
        { label: "Held", colour: "sold", fill: "sold-fill", unit }, { label: "Used", colour: "demand", unit }, { label: "Seed", colour: "supply", dash: [5, 4], unit }] }));
    }
    const charges = lines({ height: 180, label: "credits a round", series: [
      { label: "Charged", colour: "price", fill: "price-fill", unit: "cr", paths: bars }] });
    const work = lines({ height: 180, label: "work a round", series: [{ label: "Work done", colour: "demand", fill: "demand-fill", unit: "", paths: bars }] });
    const workCard = card("Work", "", work.element);
    const decided = table("The last round's outcome", [{ text: "Resource" }, { text: "Seed", class: "number" }, { text: "Won", class: "number" }, { text: "Charge", class: "number" }, { text: "Why" }]);
    const rounds = table("The guest's last rounds", [{ text: "Round" }, { text: "Closed" }, ...resources.map((r) => ({ text: kindName(r.kind), class: "number" })), { text: "Charged", class: "number" }, { text: "Rent", class: "number" }]);
    body.replaceChildren(
      card("Now", "", facts, decided.element).element,
      h("div", { class: "grid" }, ...resources.map((r) => card(kindName(r.kind), "What it held and used, mean of each round by the machine's meters.", held.get(r.kind).element).element),
        card("Charges", "For awards and rent, as settled.", charges.element).element, workCard.element),
      card("Rounds", "", rounds.element).element,
    );
    return { held, charges, work, workCard, decided, rounds, all: [...held.values(), charges, work] };
  }

  function say(text, withSignIn) {
    parts?.all.forEach((c) => c.destroy());
    parts = null;
    shown = "";
    body.replaceChildren(h("section", { class: "card" }, h("div", { class: "empty" }, h("p", {}, text), withSignIn ? h("button", { type: "button", onclick: signIn }, "Sign in") : null)));
  }

  function showFacts(guest) {
    setText(title, guest.name || `Guest ${guest.guest_id}`);
    const rows = [
      ["State", guestState(guest.state) + (guest.exit_reason ? ` (${guest.exit_reason})` : "")], ["Tenant", guest.tenant_id], ["Host", guest.host_id],
      ["Guest id", String(guest.guest_id)], ["Spent", credits(guest.spent_microcredits)],
      ["Work", guest.work_done > 0 ? `${number(guest.work_done, 6)} ${guest.work_unit}` : "–"],
      ["Says that it earned", guest.value_earned_microcredits ? credits(guest.value_earned_microcredits) : "–"], ["Says that it does", guest.activity || "–"],
    ];
    facts.replaceChildren(...rows.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
  }

  function showLife(life, resources) {
    const rounds = [...life.rounds].reverse();
    const ids = rounds.map((r) => r.round_id);
    const of = (round, kind) => round.outcomes.find((o) => o.kind === kind);
    for (const resource of resources) {
      const column = (value) => rounds.map((r) => {
        const outcome = of(r, resource.kind);
        const units = outcome ? value(outcome) : null;
        return units === null ? null : inMeasure(units, resource);
      });
      const held = column((o) => o.seed_units + o.award_units);
      const used = column((o) => (o.settled && o.held_ms > 0 ? o.used_milliunits / 1000 : null));
      parts.held.get(resource.kind).update([ids, held, used, column((o) => o.seed_units)],
        `${kindName(resource.kind)} that the guest held over ${ids.length} rounds; now ${number(held.at(-1) ?? 0)} ${measuresName(resource)}.`);
    }
    const charged = rounds.map((r) => (r.outcomes.some((o) => o.settled) ? r.outcomes.reduce((sum, o) => sum + o.settled_microcredits + o.rent_microcredits, 0) / 1e6 : null));
    parts.charges.update([ids, charged], `Charges over ${ids.length} rounds.`);
    const work = life.work;
    const unit = life.guest.work_unit || "units of work";
    parts.workCard.note(work.length > 1 ? `In ${unit}, as the guest itself says, since marketd started.` : "What the guest says of its work is shown from marketd's start on; there is too little yet.");
    parts.work.update([work.slice(1).map((w) => w.round_id), work.slice(1).map((w, i) => Math.max(0, w.work_done - work[i].work_done))], `Work in ${unit} over ${work.length} rounds.`);
    parts.rounds.update(life.rounds.slice(0, 30).map((r) => [
      String(r.round_id), clock(Date.parse(r.close_time)),
      ...resources.map((resource) => { const o = of(r, resource.kind); return o ? amount(o.seed_units + o.award_units, resource) : "–"; }),
      r.outcomes.some((o) => o.settled) ? credits(r.outcomes.reduce((s, o) => s + o.settled_microcredits, 0)) : "not settled",
      credits(r.outcomes.reduce((s, o) => s + o.rent_microcredits, 0)),
    ]));
  }

  async function update() {
    if (state.caller === "public") return say("A guest's life takes its tenant's token, or the operator's.", true);
    if (!Number.isSafeInteger(id) || id <= 0) return say(`"${rest[0] ?? ""}" is no guest's number.`);
    let life;
    try {
      life = await get("life", { guest_id: id, page_size: ROUNDS });
    } catch (error) {
      if (error.code === "NOT_FOUND") say(`There is no guest ${id} that you may see.`);
      fail(error);
      return;
    }
    const host = state.market.hosts.find((one) => one.state.host_id === life.guest.host_id);
    const resources = host?.state.resources ?? [];
    parts ??= build(resources);
    showFacts(life.guest);
    parts.decided.update(life.guest.decided.map((o) => {
      const resource = resources.find((r) => r.kind === o.kind);
      return [kindName(o.kind), amount(o.seed_units, resource), amount(o.award_units, resource), credits(o.charge_microcredits), reason(o.reason)];
    }));
    const newest = `${life.rounds[0]?.round_id}/${life.rounds.filter((r) => r.phase === "settled").length}/${life.work.length}`;
    if (newest !== shown) {
      shown = newest;
      showLife(life, resources);
    }
  }
  return { element, update, destroy: () => parts?.all.forEach((c) => c.destroy()) };
}
