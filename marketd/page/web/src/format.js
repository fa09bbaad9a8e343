// SPDX-License-Identifier: Apache-2.0
// Numbers as people read them: credits, not micro-credits; gigabytes and cores, not units.

const KINDS = {
  memory: { name: "Memory", big: 2 ** 30, bigName: "GiB", ones: ["bytes", "KiB", "MiB", "GiB", "TiB"], step: 1024 },
  cpu: { name: "Processor", big: 1000, bigName: "core", plural: "cores" },
  cache: { name: "Cache", big: 1, bigName: "way", plural: "ways" },
  network: { name: "Network", big: 1, bigName: "Mbit/s" },
  disk: { name: "Disk", big: 1, bigName: "IOPS" },
  device: { name: "Device", big: 1, bigName: "device", plural: "devices" },
};
const kindOf = (kind) => KINDS[kind] ?? { name: kind, big: 1, bigName: "unit", plural: "units" };

export const kindName = (kind) => kindOf(kind).name;
// What a host's resource is counted in, and priced by: a GiB (on a small machine a MiB), a core.
function measureOf(resource) {
  const kind = kindOf(resource.kind);
  const isSmall = kind.ones && resource.capacity_units * resource.unit_size < kind.big;
  return isSmall ? { ...kind, big: 2 ** 20, bigName: "MiB" } : kind;
}
export const measureName = (resource) => measureOf(resource).bigName;
// Of quantities on an axis.
export const measuresName = (resource) => measureOf(resource).plural ?? measureOf(resource).bigName;

// Digits that say something, no exponent, thin spaces between thousands.
export function number(value, digits = 3) {
  if (value === 0) return "0";
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  const decimals = size >= 1000 ? 0 : Math.max(0, Math.min(12, digits - 1 - Math.floor(Math.log10(size))));
  const text = Number(value.toFixed(decimals)).toLocaleString("en-US", { maximumFractionDigits: decimals });
  return text.replaceAll(",", "\u202f");
}

export const credits = (micro, digits = 3) => `${number(micro / 1e6, digits)} cr`;

// Units of a resource (from a host's list) in its measure, as a plain number for axes.
export const inMeasure = (units, resource) => (units * resource.unit_size) / measureOf(resource).big;

// "3.45 GiB", "640 MiB", "0.7 cores".
export function amount(units, resource) {
  const kind = measureOf(resource);
  let value = units * resource.unit_size;
  if (value === 0) return `0 ${kind.plural ?? kind.bigName}`;
  if (kind.ones) {
    let i = 0;
    while (Math.abs(value) >= kind.step && i + 1 < kind.ones.length) {
      value /= kind.step;
      i += 1;
    }
    return `${number(value)} ${kind.ones[i]}`;
  }
  value /= kind.big;
  return `${number(value)} ${value === 1 || !kind.plural ? kind.bigName : kind.plural}`;
}

// Micro-credits for a unit and a round, as credits for a GiB or a core and a round.
export const priceInMeasure = (micro, resource) => (micro / 1e6) * (measureOf(resource).big / resource.unit_size);
export const price = (micro, resource) => `${number(priceInMeasure(micro, resource))} cr`;
export const priceUnit = (resource) => `credits per ${measureOf(resource).bigName} and round`;

// What is said of a resource that is sold by contract.
export function forwardWords(sale, resource) {
  const most = sale.unit_price_microcredits;
  return (most === undefined || most === null ? "By contract nothing is left" : `By contract ${price(most, resource)}`) +
    `; the forecast is ${price(sale.forecast_unit_price_microcredits, resource)}. ` +
    `${amount(sale.sold_units, resource)} of ${amount(sale.share_units, resource)} are sold so.`;
}

export function duration(ms) {
  const seconds = Math.abs(ms) / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} days`;
}

export function clock(time) {
  return new Date(time).toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
}

export const percent = (part, whole) => (whole > 0 ? `${Math.round((100 * part) / whole)} %` : "–");

const REASONS = {
  served: "all that it asked for",
  partly_served: "part: others offered more for the rest",
  outbid: "nothing: others offered more",
  below_reserve: "nothing: below the reserve",
  no_means: "nothing: no money for it",
  no_bid: "no bid",
  not_running: "not running",
};
export const reason = (word) => REASONS[word] ?? "";

const STATES = { admitted: "starting", running: "running", crashed: "crashed", ended: "ended", evicting: "leaving", evicted: "gone" };
export const guestState = (word) => STATES[word] ?? word;
