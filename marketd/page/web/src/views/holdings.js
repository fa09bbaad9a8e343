// SPDX-License-Identifier: Apache-2.0
// How each resource is divided at the moment, and which guest holds what.

import { card, empty, h, setText, table } from "../dom.js";
import { amount, credits, guestState, kindName, number, percent } from "../format.js";

// One bar of the whole capacity: parts as [name, units, class].
function division(resource) {
  const bar = h("div", { class: "bar", role: "img" });
  const legend = h("ul", { class: "legend" });
  const element = h("div", { class: "division" }, h("h3", {}, kindName(resource.kind)), bar, legend);
  return {
    element,
    update(parts) {
      const whole = resource.capacity_units;
      bar.replaceChildren(...parts.filter(([, units]) => units > 0).map(([name, units, look]) => {
        const piece = h("div", { class: look, title: `${name}: ${amount(units, resource)}` });
        piece.style.width = `${(100 * units) / whole}%`;
        return piece;
      }));
      const words = parts.map(([name, units]) => `${name} ${amount(units, resource)} (${percent(units, whole)})`);
      bar.setAttribute("aria-label", `${kindName(resource.kind)} of ${amount(whole, resource)}: ${words.join(", ")}`);
      legend.replaceChildren(...parts.map(([name, units, look]) =>
        h("li", {}, h("span", { class: `dot ${look}` }), ` ${name} ${amount(units, resource)}`, h("span", { class: "quiet" }, ` ${percent(units, whole)}`))));
    },
  };
}

export function make({ state, get, signIn, fail }) {
  const bars = h("div", { class: "grid" });
  const people = h("div", {});
  const element = h("div", {}, h("h1", {}, "Who holds what"), card("The machine", "Seeds are what guests own from start to end; awards are won each round.", bars).element, people);
  let divisions = new Map();
  let guests = null;
  let accounts = null;
  let more = null;

  function showBars(host) {
    const kinds = [...state.resources.keys()];
    if ([...divisions.keys()].join() !== kinds.join()) {
      divisions = new Map(kinds.map((kind) => [kind, division(state.resources.get(kind))]));
      bars.replaceChildren(...[...divisions.values()].map((d) => d.element));
    }
    for (const use of host.uses) {
      const resource = state.resources.get(use.kind);
      const free = Math.max(0, resource.capacity_units - use.seed_units - use.award_units);
      divisions.get(use.kind)?.update([["Seeds", use.seed_units, "seed"], ["Awards", use.award_units, "award"], ["Free", free, "free"]]);
    }
  }

  function columnsOf() {
    return [
      { text: "Guest" }, { text: "Tenant" }, { text: "State" },
      ...[...state.resources.keys()].map((kind) => ({ text: kindName(kind), class: "number" })),
      { text: "Charge a round", class: "number" }, { text: "Spent", class: "number" }, { text: "Work", class: "number" },
    ];
  }

  const rowOf = (guest) => [
    { text: guest.name || `guest ${guest.guest_id}`, href: `#/guest/${guest.guest_id}` },
    guest.tenant_id,
    { text: guestState(guest.state), class: guest.state === "crashed" ? "bad" : "" },
    ...[...state.resources.values()].map((resource) => {
      const grant = guest.grants.find((g) => g.kind === resource.kind);
      return grant ? amount(grant.seed_units + grant.award_units, resource) : "–";
    }),
    credits(guest.grants.reduce((sum, g) => sum + g.charge_microcredits, 0)),
    credits(guest.spent_microcredits),
    guest.work_done > 0 ? `${number(guest.work_done)} ${guest.work_unit}` : "–",
  ];

  async function showGuests(host) {
    if (state.caller === "public") {
      guests = null;
      setTextOnce(people, `${host.guests} ${host.guests === 1 ? "guest runs" : "guests run"} here. Which, and what each holds, takes a token.`);
      return;
    }
    let message;
    try {
      message = await get("guests", { host_id: host.state.host_id });
    } catch (error) {
      fail(error);
      return;
    }
    if (state.caller === "public") return;
    if (!guests) {
      const own = card("Guests", state.caller === "operator" ? "Of all tenants. Names lead to a guest's life." : "Yours. Names lead to a guest's life.");
      guests = table("Guests and what they hold", columnsOf());
      more = h("p", { class: "note" });
      own.element.append(guests.element, more);
      const money = card("Accounts", "Escrow is set aside for awards that are not settled yet.");
      accounts = table("Accounts", [{ text: "Tenant" }, { text: "Available", class: "number" }, { text: "Escrow", class: "number" }, { text: "Arrears", class: "number" }, { text: "Spent", class: "number" }]);
      money.element.append(accounts.element);
      people.replaceChildren(own.element, money.element);
    }
    guests.update(message.guests.map(rowOf));
    setText(more, message.guests.length === 0 ? "No guests yet." : message.next_after_guest_id > 0 ? `The first ${message.guests.length}; nomctl guests shows all.` : "");
    accounts.update(state.market.accounts.map((a) => [
      a.tenant_id, credits(a.available_microcredits), credits(a.escrow_microcredits),
      { text: credits(a.arrears_microcredits), class: a.arrears_microcredits > 0 ? "bad" : "" }, credits(a.spent_microcredits),
    ]));
  }

  function setTextOnce(place, text) {
    if (place.dataset.text === text && place.firstChild) return;
    place.dataset.text = text;
    place.replaceChildren(h("section", { class: "card" }, h("h2", {}, "Guests"), h("div", { class: "empty" }, h("p", {}, text), h("button", { type: "button", onclick: signIn }, "Sign in"))));
  }

  async function update() {
    if (!state.host) {
      element.replaceChildren(empty("This marketd has no host."));
      return;
    }
    showBars(state.host);
    await showGuests(state.host);
  }
  return { element, update };
}
