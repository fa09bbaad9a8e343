// SPDX-License-Identifier: Apache-2.0
// Charts by uPlot, in the page's colours, with what they show also as words and as a table.

import uPlot from "uplot";
import { h, setText } from "./dom.js";
import { number } from "./format.js";

const live = new Set();
const scheme = matchMedia("(prefers-color-scheme: dark)");
scheme.addEventListener("change", () => live.forEach((chart) => chart.rebuild()));
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

// A chart of `height` pixels. `make(colour)` gives uPlot's options for the current colours: series, axes, scales.
// update(data, words): data as uPlot's, words for who can't see it. `tableOf(data)` gives [heads, rows].
export function chart({ height = 200, make, tableOf }) {
  const place = h("div", { class: "plot", role: "img" });
  const details = h("details", {}, h("summary", {}, "As a table"));
  const element = h("div", { class: "chart" }, place, details);
  let plot = null;
  let data = null;
  const width = () => Math.max(200, Math.floor(place.clientWidth));

  // Without a cursor the legend tells the newest values that are known.
  const latest = () => {
    if (!plot || plot.cursor.idx != null) return;
    const idx = data[1].findLastIndex((value) => value !== null);
    if (idx >= 0) plot.setLegend({ idx }, false);
  };

  const fillTable = () => {
    if (!details.open || !data) return;
    const [heads, rows] = tableOf(data);
    details.lastElementChild.tagName === "SUMMARY" || details.lastElementChild.remove();
    details.append(
      h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "The chart's numbers" },
        h("table", {},
          h("thead", {}, h("tr", {}, heads.map((text) => h("th", { scope: "col", class: "number" }, text)))),
          h("tbody", {}, rows.map((row) => h("tr", {}, row.map((text) => h("td", { class: "number" }, text))))))),
    );
  };
  details.addEventListener("toggle", fillTable);

  const self = {
    element,
    rebuild() {
      plot?.destroy();
      plot = null;
      if (data && place.isConnected) {
        plot = new uPlot({ width: width(), height, ...make(colour) }, data, place);
        place.addEventListener("mouseleave", latest);
        latest();
      }
    },
    update(next, words) {
      data = next;
      if (place.getAttribute("aria-label") !== words) place.setAttribute("aria-label", words);
      if (plot) plot.setData(data);
      else self.rebuild();
      latest();
      fillTable();
    },
    destroy() {
      sizes.disconnect();
      live.delete(self);
      plot?.destroy();
    },
    set height(value) {
      height = value;
    },
  };
  const sizes = new ResizeObserver(() => {
    if (!plot) self.rebuild();
    else if (plot.width !== width()) plot.setSize({ width: width(), height });
  });
  sizes.observe(place);
  live.add(self);
  return self;
}

const FONT = "12px system-ui, sans-serif";

export const axis = (c, label, more = {}) => ({
  stroke: c("text-quiet"),
  font: FONT,
  labelFont: FONT,
  label,
  labelSize: label ? 20 : 0,
  labelGap: 2,
  size: more.side === 1 ? undefined : 58,
  grid: { stroke: c("grid"), width: 1 },
  ticks: { stroke: c("grid"), width: 1, size: 4 },
  values: (_, ticks) => ticks.map((tick) => (tick === null ? "" : number(tick))),
  ...more,
});

const time = (options) => new Intl.DateTimeFormat(undefined, { hourCycle: "h23", ...options });
const SECONDS = time({ hour: "2-digit", minute: "2-digit", second: "2-digit" });
const MINUTES = time({ hour: "2-digit", minute: "2-digit" });
const DAYS = time({ month: "short", day: "numeric" });

export const timeAxis = (c) => ({
  size: 30,
  values: (_, ticks, __, ___, step) =>
    ticks.map((t) => (step >= 86_400 ? DAYS : step >= 60 ? MINUTES : SECONDS).format(new Date(t * 1000))),
  stroke: c("text-quiet"),
  font: FONT,
  space: 80,
  grid: { stroke: c("grid"), width: 1 },
  ticks: { stroke: c("grid"), width: 1, size: 4 },
});

// The value stands until the next round.
export const stepped = uPlot.paths.stepped({ align: 1 });
export const bars = uPlot.paths.bars({ size: [0.7, 24] });
// Whole bars also at both ends.
export const aroundBars = (_, min, max) => (min === null ? [0, 1] : [min - 0.6, max + 0.6]);

// From 0, with air above, and never empty.
export const fromZero = (_, __, max) => [0, max > 0 ? max * 1.08 : 1];

export { uPlot, setText };
