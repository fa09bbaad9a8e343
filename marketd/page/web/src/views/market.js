// SPDX-License-Identifier: Apache-2.0
// Prices over time, supply and demand, and the last auction's demand curve, for each resource.

import { axis, chart, fromZero, stepped, timeAxis, uPlot } from "../charts.js";
import { empty, h, setText } from "../dom.js";
import { amount, clock, forwardWords, inMeasure, kindName, measureName, measuresName, number, price, priceInMeasure, priceUnit } from "../format.js";

const RANGES = [
  { name: "60 rounds", rounds: 60 },
  { name: "360 rounds", rounds: 360 },
  { name: "All", rounds: Infinity },
];
const SYNC = uPlot.sync("market");

// What is sold by contract has two lines more: what a unit more costs so, and what the seller takes the next rounds to
// cost. Of rounds from before marketd's start neither is known.
function priceChart(resource, isForward) {
  const line = (label, colour, dash) => (c) => ({
    label, stroke: c(colour), width: 1.5, dash, paths: stepped, points: { show: false }, value: (_, v) => (v === null ? "–" : `${number(v)} cr`),
  });
  const more = isForward ? [line("By contract", "forward"), line("Forecast", "forecast", [2, 3])] : [];
  return chart({
    height: 190,
    make: (c) => ({
      cursor: { sync: { key: SYNC.key } },
      scales: { y: { range: fromZero } },
      axes: [timeAxis(c), axis(c, priceUnit(resource))],
      series: [
        { value: (_, t) => (t === null ? "–" : clock(t * 1000)), label: "At" },
        { label: "Price", stroke: c("price"), width: 2, paths: stepped, points: { show: false }, value: (_, v) => (v === null ? "–" : `${number(v)} cr`) },
        line("Reserve", "reserve", [5, 4])(c),
        ...more.map((series) => series(c)),
      ],
    }),
    tableOf: ([times, ...columns]) => [
      ["Time", "Price (cr)", "Reserve (cr)", ...(isForward ? ["By contract (cr)", "Forecast (cr)"] : [])],
      lastRows(times.length, (i) => [clock(times[i] * 1000), ...columns.map((column) => shown(column[i]))]),
    ],
  });
}

function supplyChart(resource) {
  const unit = measuresName(resource);
  const value = (_, v) => (v === null ? "–" : `${number(v)} ${unit}`);
  return chart({
    height: 170,
    make: (c) => ({
      cursor: { sync: { key: SYNC.key } },
      scales: { y: { range: fromZero } },
      axes: [timeAxis(c), axis(c, unit)],
      series: [
        { value: (_, t) => (t === null ? "–" : clock(t * 1000)), label: "At" },
        { label: "Asked for", stroke: c("demand"), width: 2, paths: stepped, points: { show: false }, value },
        { label: "For sale", stroke: c("supply"), width: 1.5, dash: [5, 4], paths: stepped, points: { show: false }, value },
        { label: "Sold", stroke: c("sold"), fill: c("sold-fill"), width: 1.5, paths: stepped, points: { show: false }, value },
      ],
    }),
    tableOf: ([times, demand, supply, sold]) => [
      ["Time", `Asked for (${unit})`, `For sale (${unit})`, `Sold (${unit})`],
      lastRows(times.length, (i) => [clock(times[i] * 1000), shown(demand[i]), shown(supply[i]), shown(sold[i])]),
    ],
  });
}

// Quantity to the right, price upwards, as economists draw it; the clearing point is where they meet.
function demandChart(resource) {
  let clearing = null;
  const self = chart({
    height: 230,
    make: (c) => ({
      scales: { x: { time: false, range: () => [0, (clearing?.right || 1) * 1.04] }, y: { range: () => [0, (clearing?.top || 1) * 1.14] } },
      axes: [axis(c, measuresName(resource), { side: 2, size: 36, space: 60 }), axis(c, priceUnit(resource))],
      cursor: { drag: { x: false, y: false } },
      legend: { live: false, markers: { width: 2 } },
      series: [
        { label: "Quantity", value: (_, v) => (v === null ? "–" : `${number(v)} ${measuresName(resource)}`) },
        { label: "Offered for it", stroke: c("demand"), fill: c("demand-fill"), width: 2, paths: uPlot.paths.stepped({ align: -1 }), points: { show: false }, value: (_, v) => (v === null ? "–" : `${number(v)} cr`) },
      ],
      hooks: { draw: [(plot) => drawClearing(plot, clearing, c)] },
    }),
    tableOf: ([units, prices]) => [
      [`Quantity (${measuresName(resource)})`, "Price offered (cr)"],
      units.map((u, i) => [number(u), shown(prices[i])]).slice(1, 101),
    ],
  });
  const update = (demand) => {
    const p = demand.price;
    clearing = {
      price: priceInMeasure(p.unit_price_microcredits, resource),
      reserve: priceInMeasure(p.reserve_unit_price_microcredits, resource),
      supply: inMeasure(p.supply_units, resource),
      sold: inMeasure(p.sold_units, resource),
    };
    clearing.right = Math.max(clearing.supply, inMeasure(demand.steps.at(-1)?.units ?? 0, resource));
    clearing.top = Math.max(clearing.price, clearing.reserve, priceInMeasure(demand.steps[0]?.unit_price_microcredits ?? 0, resource));
    const units = [0];
    const prices = [demand.steps.length ? priceInMeasure(demand.steps[0].unit_price_microcredits, resource) : null];
    for (const step of demand.steps) {
      units.push(inMeasure(step.units, resource));
      prices.push(priceInMeasure(step.unit_price_microcredits, resource));
    }
    if (demand.steps.length) {
      units.push(units.at(-1) * (1 + 1e-9));
      prices.push(0);
    }
    self.update(
      [units, prices],
      `Demand curve of ${kindName(resource.kind)} in round ${demand.round_id}: ${demand.bids} bids ask for up to ` +
        `${amount(demand.steps.at(-1)?.units ?? 0, resource)}; ${amount(p.sold_units, resource)} of ` +
        `${amount(p.supply_units, resource)} were sold, at ${price(p.unit_price_microcredits, resource)}.`,
    );
  };
  return { element: self.element, update, destroy: self.destroy };
}

function drawClearing(plot, clearing, c) {
  if (!clearing) return;
  const { ctx, bbox } = plot;
  const px = devicePixelRatio;
  const at = (value, scale) => plot.valToPos(value, scale, true);
  const line = (x1, y1, x2, y2, stroke, dash) => {
    ctx.beginPath();
    ctx.strokeStyle = stroke;
    ctx.lineWidth = 1.5 * px;
    ctx.setLineDash(dash.map((d) => d * px));
    ctx.moveTo(x1, y1);
    ctx.lineTo(x2, y2);
    ctx.stroke();
  };
  ctx.save();
  ctx.font = `${12 * px}px system-ui, sans-serif`;
  const x = at(clearing.supply, "x");
  line(x, bbox.top, x, bbox.top + bbox.height, c("supply"), [5, 4]);
  // Words beside a point, readable also where they lie on the curve.
  const say = (text, tx, ty, side, fill) => {
    ctx.setLineDash([]);
    ctx.textAlign = side;
    ctx.lineWidth = 4 * px;
    ctx.lineJoin = "round";
    ctx.strokeStyle = c("surface");
    ctx.strokeText(text, tx, ty);
    ctx.fillStyle = fill;
    ctx.fillText(text, tx, ty);
  };
  const left = x > bbox.left + bbox.width * 0.6;
  say("for sale", x + (left ? -5 : 5) * px, bbox.top + 13 * px, left ? "right" : "left", c("supply"));
  const r = at(clearing.reserve, "y");
  line(bbox.left, r, bbox.left + bbox.width, r, c("reserve"), [2, 3]);
  say("reserve", bbox.left + bbox.width - 4 * px, r - 4 * px, "right", c("reserve"));
  // What is sold at the price.
  const [cx, cy] = [at(clearing.sold, "x"), at(clearing.price, "y")];
  line(bbox.left, cy, cx, cy, c("price"), []);
  ctx.setLineDash([]);
  ctx.beginPath();
  ctx.arc(cx, cy, 5 * px, 0, 2 * Math.PI);
  ctx.fillStyle = c("price");
  ctx.fill();
  ctx.lineWidth = 2 * px;
  ctx.strokeStyle = c("surface");
  ctx.stroke();
  ctx.font = `600 ${12 * px}px system-ui, sans-serif`;
  const before = cx > bbox.left + bbox.width * 0.55;
  say(`price ${number(clearing.price)} cr`, cx + (before ? -9 : 9) * px, cy - 9 * px, before ? "right" : "left", c("price"));
  ctx.restore();
}

const shown = (value) => (value === null || value === undefined ? "–" : number(value));
const lastRows = (count, row) => {
  const rows = [];
  for (let i = count - 1; i >= Math.max(0, count - 50); i -= 1) rows.push(row(i));
  return rows;
};

// All of one resource: the figures, and three charts.
function panel(resource, signIn, isForward) {
  const big = h("p", { class: "figure" });
  const facts = h("p", { class: "note" });
  const forward = h("p", { class: "note" });
  const prices = priceChart(resource, isForward);
  const supply = supplyChart(resource);
  const demand = demandChart(resource);
  const place = h("div", { class: "stack" });
  const note = h("p", { class: "note" });
  const locked = h("div", { class: "empty" },
    h("p", {}, "What was bid takes a token: a tenant's shows its own bids, the operator's those of all."),
    h("button", { type: "button", onclick: signIn }, "Sign in"));
  const element = h("section", { class: "card", "aria-label": kindName(resource.kind) },
    h("h2", {}, kindName(resource.kind)), big, facts, ...(isForward ? [forward] : []),
    h("h3", {}, "Price"), prices.element,
    h("h3", {}, "Supply and demand"), supply.element,
    h("h3", {}, "Demand curve of the last round"), note, place);
  return {
    element,
    place,
    update(state, from) {
      const now = state.host.state.prices.find((p) => p.kind === resource.kind);
      setText(big, now ? price(now.unit_price_microcredits, resource) : "–");
      setText(facts, now
        ? `per ${measureName(resource)} and round; ${now.bound_by === "bids" ? "set by the bids" : "the operator's reserve"}. ` +
          `${amount(now.sold_units, resource)} of ${amount(now.supply_units, resource)} sold, ` +
          `${amount(now.demand_units, resource)} asked for.`
        : "");
      const sale = state.host.state.forward.find((one) => one.kind === resource.kind);
      setText(forward, sale ? forwardWords(sale, resource) : "");
      const columns = state.history.series.get(resource.kind);
      if (!columns) return;
      const times = state.history.times.slice(from);
      const money = (list) => list.slice(from).map((v) => (v === null ? null : priceInMeasure(v, resource)));
      const sizes = (list) => list.slice(from).map((v) => (v === null ? null : inMeasure(v, resource)));
      const more = isForward ? [money(columns.forward), money(columns.forecast)] : [];
      prices.update([times, money(columns.price), money(columns.reserve), ...more],
        `Price of ${kindName(resource.kind)} over ${times.length} rounds, now ${big.textContent} ${facts.textContent} ${forward.textContent}`.trim());
      supply.update([times, sizes(columns.demand), sizes(columns.supply), sizes(columns.sold)],
        `Supply and demand of ${kindName(resource.kind)} over ${times.length} rounds. ${facts.textContent}`);
    },
    lock() {
      setText(note, "");
      if (place.firstChild !== locked) place.replaceChildren(locked);
    },
    showDemand(message) {
      const whose = message.of_all ? "all bids" : "your own bids; those of others are theirs";
      const joint = message.joint_bids > 0
        ? ` ${message.joint_bids} of them want several resources at once, and are drawn at this round's prices of the others.` : "";
      setText(note, `Round ${message.round_id}, ${whose}: ${message.bids}.${joint}`);
      if (place.firstChild !== demand.element) place.replaceChildren(demand.element);
      demand.update(message);
    },
    explain(text) {
      setText(note, text);
    },
    destroy() {
      prices.destroy();
      supply.destroy();
      demand.destroy();
    },
  };
}

export function make({ state, get, signIn, fail }) {
  const grid = h("div", { class: "grid" });
  const choice = h("fieldset", { class: "choice" }, h("legend", { class: "hidden" }, "How far back"));
  let range = Number(sessionStorage.getItem("nom.range") ?? 0);
  RANGES.forEach(({ name }, i) => {
    const input = h("input", { type: "radio", name: "range", id: `range-${i}`, checked: i === range });
    input.addEventListener("change", () => {
      range = i;
      sessionStorage.setItem("nom.range", String(i));
      update();
    });
    choice.append(input, h("label", { for: `range-${i}` }, name));
  });
  const element = h("div", {}, h("div", { class: "row heading" }, h("h1", {}, "Prices"), choice), grid);
  let panels = new Map();
  let made = ""; // Which resources have a panel, and are sold by contract.
  let drawn = ""; // Which round's demand is shown, and for whom.

  function clear() {
    panels.forEach((p) => p.destroy());
    panels = new Map();
    made = "";
    drawn = "";
  }

  async function showDemand() {
    const { host } = state;
    if (state.caller === "public") {
      panels.forEach((p) => p.lock());
      drawn = "";
      return;
    }
    const key = `${host.state.host_id}/${host.state.priced_round_id}/${state.caller}`;
    if (key === drawn) return;
    drawn = key;
    for (const [kind, p] of panels) {
      try {
        const message = await get("demand", { host_id: host.state.host_id, kind, round_id: host.state.priced_round_id });
        if (panels.get(kind) === p) p.showDemand(message);
      } catch (error) {
        p.explain(error.message);
        drawn = "";
        fail(error);
      }
    }
  }

  async function update() {
    const { host, history } = state;
    if (!host) {
      grid.replaceChildren(empty("This marketd has no host."));
      return;
    }
    if (!history?.ids.length) {
      clear();
      grid.replaceChildren(empty(history?.complete
        ? `No round has been decided yet. The first prices come within ${Math.ceil(host.state.period_ms / 1000)} s of the host's connection.`
        : "Reading earlier rounds…"));
      return;
    }
    const kinds = [...state.resources.keys()];
    const sold = host.state.forward.map((one) => one.kind);
    if (`${kinds}/${sold}` !== made) {
      clear();
      made = `${kinds}/${sold}`;
      panels = new Map(kinds.map((kind) => [kind, panel(state.resources.get(kind), signIn, sold.includes(kind))]));
      grid.replaceChildren(...[...panels.values()].map((p) => p.element));
    }
    const from = Math.max(0, history.ids.length - RANGES[range].rounds);
    panels.forEach((p) => p.update(state, from));
    await showDemand();
  }

  return { element, update, destroy: clear };
}
