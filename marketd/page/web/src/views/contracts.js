// SPDX-License-Identifier: Apache-2.0
// What is sold by contract, at which price beside the auction's; and the caller's contracts and offers.

import { card, empty, h, setText, table } from "../dom.js";
import { amount, clock, credits, kindName, percent, price } from "../format.js";

const KINDS = { forward: "contract", sublet: "sublet", award: "award" };

// "8 MiB, 0.5 cores" of a list of lots.
const unitsOf = (lots, resources) =>
  lots.map((lot) => (resources.has(lot.kind) ? amount(lot.units, resources.get(lot.kind)) : `${lot.units} ${lot.kind}`)).join(", ");
const chargeOf = (lots) => credits(lots.reduce((sum, lot) => sum + lot.charge_microcredits, 0));

export function make({ state, get, signIn, fail }) {
  const sale = card("What is sold by contract", "Units for several rounds at a price that is fixed when they are bought, beside the auction.");
  const nothing = h("p", { class: "empty" });
  const people = h("div", {});
  const element = h("div", {}, h("h1", {}, "Contracts"), sale.element, people);
  const onSale = table("What is sold by contract", [
    { text: "Resource" }, { text: "Auction's price", class: "number" }, { text: "Forecast", class: "number" },
    { text: "One unit more", class: "number" }, { text: "Sold so", class: "number" }, { text: "Of at most", class: "number" },
    { text: "Longest", class: "number" },
  ]);
  let lists = null;

  function showSale(host) {
    const { forward } = host.state;
    sale.note(forward.length
      ? `For a round of ${host.state.period_ms / 1000} s. The forecast is the percentile of the last rounds' prices that prices by contract begin with: who waits and bids knows what the seller takes the next rounds to cost.`
      : "");
    if (!forward.length) {
      setText(nothing, "This host sells nothing by contract.");
      onSale.element.remove();
      if (!nothing.isConnected) sale.element.append(nothing);
      return;
    }
    nothing.remove();
    if (!onSale.element.isConnected) sale.element.append(onSale.element);
    onSale.update(forward.filter((f) => state.resources.has(f.kind)).map((f) => {
      const resource = state.resources.get(f.kind);
      const spot = host.state.prices.find((p) => p.kind === f.kind);
      const more = f.unit_price_microcredits;
      return [
        kindName(f.kind), spot ? price(spot.unit_price_microcredits, resource) : "–",
        price(f.forecast_unit_price_microcredits, resource),
        more === undefined || more === null ? "none is left" : price(more, resource),
        `${amount(f.sold_units, resource)}, ${percent(f.sold_units, f.share_units)}`, amount(f.share_units, resource),
        `${f.rounds_max} rounds`,
      ];
    }));
  }

  function lock() {
    lists = null;
    if (people.firstChild?.dataset.locked) return;
    people.replaceChildren(h("section", { class: "card", "data-locked": "1" }, h("h2", {}, "Contracts and offers"),
      h("div", { class: "empty" }, h("p", {}, "Who holds which contract takes a token."), h("button", { type: "button", onclick: signIn }, "Sign in"))));
  }

  function build() {
    const held = card("Held", "");
    const contracts = table("Contracts", [
      { text: "Contract", class: "number" }, { text: "Guest" }, { text: "Kind" }, { text: "Units", class: "number" },
      { text: "Charge a round", class: "number" }, { text: "Rounds", class: "number" }, { text: "Ends" }, { text: "Set aside", class: "number" },
    ]);
    held.element.append(contracts.element);
    const open = card("Offers", "");
    const offers = table("Offers", [
      { text: "Offer", class: "number" }, { text: "What" }, { text: "For guest" }, { text: "Units", class: "number" },
      { text: "Charge a round", class: "number" }, { text: "Rounds", class: "number" }, { text: "Good until" },
    ]);
    open.element.append(offers.element);
    people.replaceChildren(held.element, open.element);
    return { held, contracts, open, offers };
  }

  const endText = (contract) => {
    if (contract.left_from_round_id) return { text: `left, from round ${contract.left_from_round_id}`, class: contract.end === "unpaid" ? "bad" : "" };
    return contract.renew_ceiling_microcredits > 0 ? `renewed up to ${credits(contract.renew_ceiling_microcredits)}` : "with its rounds";
  };

  async function showPeople() {
    let contracts;
    let offers;
    try {
      [contracts, offers] = await Promise.all([get("contracts"), get("offers")]);
    } catch (error) {
      fail(error);
      return;
    }
    if (state.caller === "public") return;
    lists ??= build();
    lists.contracts.update(contracts.contracts.map((c) => [
      String(c.contract_id), { text: `guest ${c.guest_id}`, href: `#/guest/${c.guest_id}` },
      KINDS[c.kind] + (c.part_of ? ` of ${c.part_of}` : ""), unitsOf(c.lots, state.resources), chargeOf(c.lots),
      `${c.from_round_id} to ${c.until_round_id - 1}`, endText(c), credits(c.escrow_microcredits),
    ]));
    const more = (next, what) => (next ? ` The first are shown; nomctl ${what} shows all.` : "");
    lists.held.note((contracts.contracts.length ? "Paid by the round, for what the machine delivered." : "None is open.") +
      more(contracts.next_after_contract_id, "contracts"));
    lists.offers.update(offers.offers.map((o) => [
      String(o.offer_id), o.part_of ? `sublet of ${o.part_of}` : "quote", o.guest_id ? `guest ${o.guest_id}` : "any",
      unitsOf(o.lots, state.resources), chargeOf(o.lots),
      `${o.rounds}${o.from_round_id ? ` from ${o.from_round_id}` : ""}`, clock(Date.parse(o.valid_until)),
    ]));
    lists.open.note((offers.offers.length ? "Who takes one first has the units." : "None is open.") + more(offers.next_after_offer_id, "offers"));
  }

  async function update() {
    if (!state.host) {
      element.replaceChildren(empty("This marketd has no host."));
      return;
    }
    showSale(state.host);
    if (state.caller === "public") lock();
    else await showPeople();
  }
  return { element, update };
}
