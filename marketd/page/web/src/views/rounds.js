// SPDX-License-Identifier: Apache-2.0
// The rounds, newest first: what was sold at which price, and what the caller's guests were charged.

import { card, empty, h, table } from "../dom.js";
import { amount, clock, credits, kindName, percent, price } from "../format.js";

const PAGE = 25;
const PHASES = { collect: "collecting", grace: "grace", effective: "in force", settled: "settled", released: "released" };

const sold = (units, supply, resource) => `${amount(units, resource)}, ${percent(units, supply)}`;

export function make({ state, get, fail }) {
  const { element: box, note } = card("", "");
  box.firstElementChild.remove();
  const older = h("button", { type: "button" }, "Older");
  const newest = h("button", { type: "button" }, "Newest");
  const element = h("div", {}, h("h1", {}, "Rounds"), box);
  let before = 0;
  let next = 0;
  let list = null;
  let made = "";
  older.addEventListener("click", () => { before = next; update(); });
  newest.addEventListener("click", () => { before = 0; update(); });

  function build() {
    const key = `${state.caller}/${[...state.resources.keys()]}`;
    if (list && key === made) return;
    made = key;
    list = table("Rounds", [
      { text: "Round" }, { text: "Closed" }, ...(state.caller === "public" ? [] : [{ text: "State" }]),
      ...[...state.resources.values()].flatMap((r) => [{ text: `${kindName(r.kind)}: price`, class: "number" }, { text: "and sold", class: "number" }]),
      ...(state.caller === "public" ? [] : [{ text: state.caller === "operator" ? "All charged" : "You were charged", class: "number" }]),
    ]);
    box.replaceChildren(box.firstElementChild, list.element, h("div", { class: "row" }, newest, older));
  }

  // Without a token the public prices are all that there is.
  async function readPublic(host) {
    const page = await get("prices", { host_id: host.state.host_id, page_size: PAGE, before_round_id: before });
    next = page.next_before_round_id;
    return page.round_ids.map((id, i) => {
      const of = (resource) => {
        const s = page.series.find((one) => one.kind === resource.kind);
        if (!s || s.unit_price_microcredits[i] < 0) return ["–", "–"];
        return [price(s.unit_price_microcredits[i], resource), sold(s.sold_units[i], s.supply_units[i], resource)];
      };
      return [String(id), clock(page.close_time_unix_ms[i]), ...[...state.resources.values()].flatMap(of)];
    }).reverse();
  }

  async function readOwn(host) {
    const page = await get("rounds", { host_id: host.state.host_id, page_size: PAGE, before_round_id: before });
    next = page.next_before_round_id;
    return page.rounds.map((round) => {
      const of = (resource) => {
        const p = round.prices.find((one) => one.kind === resource.kind);
        return p ? [price(p.unit_price_microcredits, resource), sold(p.sold_units, p.supply_units, resource)] : ["–", "–"];
      };
      const paid = round.outcomes.reduce((sum, o) => sum + o.settled_microcredits + o.rent_microcredits, 0);
      return [
        String(round.round_id), clock(Date.parse(round.close_time)),
        { text: PHASES[round.phase] + (round.reason ? `: ${round.reason}` : ""), class: round.phase === "released" ? "bad" : "" },
        ...[...state.resources.values()].flatMap(of),
        round.phase === "settled" ? credits(paid) : "–",
      ];
    });
  }

  async function update() {
    const { host } = state;
    if (!host) return element.replaceChildren(empty("This marketd has no host."));
    build();
    try {
      const rows = await (state.caller === "public" ? readPublic(host) : readOwn(host));
      list.update(rows);
      note(rows.length === 0 ? "No round has been decided yet." : `Prices are for a round of ${host.state.period_ms / 1000} s. Those decided are final; what is charged is known when a round is settled.`);
      older.disabled = next === 0;
      newest.disabled = before === 0;
    } catch (error) {
      fail(error);
    }
  }
  return { element, update };
}
