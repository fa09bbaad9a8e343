// SPDX-License-Identifier: Apache-2.0
// The rounds, newest first: what was sold at which price, and what the caller's guests were charged; and what the
// newest of them came to as a whole.

import { card, empty, h, setText, table } from "../dom.js";
import { amount, clock, credits, kindName, percent, price } from "../format.js";

const PAGE = 25;
const PHASES = { collect: "collecting", grace: "grace", effective: "in force", settled: "settled", released: "released" };

const sold = (units, supply, resource) => `${amount(units, resource)}, ${percent(units, supply)}`;

export function make({ state, get, fail }) {
  const { element: box, note } = card("", "");
  box.firstElementChild.remove();
  const older = h("button", { type: "button" }, "Older");
  const newest = h("button", { type: "button" }, "Newest");
  const whole = card("", "");
  const element = h("div", {}, h("h1", {}, "Rounds"), box);
  let before = 0;
  let next = 0;
  let list = null;
  let made = "";
  let measures = null;
  let measured = "";
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

  // Of the newest round of the page that has them. Who may not see what the bids are worth sees the rest.
  function showMeasures(rounds) {
    const round = rounds.find((one) => one.prices.some((p) => p.measures && state.resources.has(p.kind)));
    if (!round) return whole.element.remove();
    const prices = round.prices.filter((p) => p.measures && state.resources.has(p.kind));
    const worth = prices.some((p) => p.measures.welfare_microcredits !== undefined);
    if (!measures || measured !== String(worth)) {
      measured = String(worth);
      measures = table("What a round came to", [
        { text: "Resource" }, { text: "Charged", class: "number" }, { text: "Changed hands", class: "number" }, { text: "Evenness", class: "number" },
        ...(worth ? [{ text: "Worth", class: "number" }, { text: "Of at most", class: "number" }] : []),
      ]);
      whole.element.replaceChildren(...[...whole.element.children].slice(0, 2), measures.element);
    }
    setText(whole.element.firstElementChild, `What round ${round.round_id} came to`);
    whole.note("Evenness is Jain's index: 100 % where each tenant got the same part of what it asked for at the reserve." +
      (worth ? " Worth is what the awards are worth by the bids, with what is not sold at the reserve, less penalties; no awards are worth more than what stands beside it." : ""));
    measures.update(prices.map((p) => {
      const resource = state.resources.get(p.kind);
      const m = p.measures;
      const known = (micro) => (micro === undefined ? "–" : credits(micro));
      return [
        kindName(p.kind), credits(m.revenue_microcredits), amount(m.moved_units, resource),
        m.jain_index_ppm === undefined ? "–" : percent(m.jain_index_ppm, 1_000_000),
        ...(worth ? [known(m.welfare_microcredits), known(m.welfare_bound_microcredits)] : []),
      ];
    }));
    if (!whole.element.isConnected) element.append(whole.element);
  }

  // Without a token the public prices are all that there is.
  async function readPublic(host) {
    const page = await get("prices", { host_id: host.state.host_id, page_size: PAGE, before_round_id: before });
    next = page.next_before_round_id;
    whole.element.remove();
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
    showMeasures(page.rounds);
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
