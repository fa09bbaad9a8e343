// SPDX-License-Identifier: Apache-2.0
// Whether all is as it should be, in words.

import { h, setText } from "../dom.js";
import { clock, duration } from "../format.js";

function row(name) {
  const mark = h("span", { class: "mark" });
  const text = h("span", {});
  const element = h("li", {}, mark, h("div", {}, h("strong", {}, name), " ", text));
  return {
    element,
    update(level, words) {
      const name_ = { good: "Good", warn: "Look", bad: "Bad" }[level];
      setText(mark, name_);
      mark.className = `mark ${level}`;
      setText(text, words);
    },
  };
}

export function make({ state, now }) {
  const names = ["marketd", "Host", "Prices", "Last decision", "Rounds since the start", "Clearing"];
  const rows = new Map(names.map((name) => [name, row(name)]));
  const element = h("div", {}, h("h1", {}, "Health"),
    h("section", { class: "card" }, h("ul", { class: "checks" }, [...rows.values()].map((r) => r.element))),
    h("p", { class: "note" }, "Alerts with what to do are in the handbook's runbooks; figures over time in the Grafana dashboard that the package brings."));
  function update() {
    const { host, market } = state;
    const set = (name, level, words) => rows.get(name).update(level, words);
    set("marketd", state.failure ? "bad" : "good", state.failure ? state.failure.message : `answers; version ${market.version}, last heard at ${clock(state.heard)}`);
    if (!host) return;
    const s = host.state;
    set("Host", host.connected ? "good" : "bad", host.connected ? `${s.host_id} (${host.kind}) is connected, ${host.guests} guests${host.detail ? `; ${host.detail}` : ""}` : `${s.host_id} (${host.kind}) is not connected${host.detail ? `: ${host.detail}` : ""}`);
    const left = Date.parse(s.valid_until) - now();
    if (s.priced_round_id === 0) set("Prices", "warn", "there are none yet");
    else set("Prices", left > 0 ? "good" : "bad", left > 0 ? `of round ${s.priced_round_id}, good for another ${duration(left)}` : `stale for ${duration(left)}`);
    if (!host.last_decided_time) set("Last decision", "warn", "none since marketd started");
    else {
      const age = now() - Date.parse(host.last_decided_time);
      set("Last decision", age < 3 * s.period_ms ? "good" : "bad", `${duration(age)} ago; a round lasts ${duration(s.period_ms)}`);
    }
    const r = host.rounds;
    set("Rounds since the start", r.released + r.skipped + r.host_losses > 0 ? "warn" : "good",
      `${r.decided} decided, ${r.settled} settled, ${r.released} released, ${r.skipped} skipped; the host was lost ${r.host_losses} ${r.host_losses === 1 ? "time" : "times"}`);
    set("Clearing", r.by_fallback > 0 ? "warn" : "good", r.by_fallback > 0 ? `${r.by_fallback} auctions were not cleared exactly, but by a fallback` : "every auction was cleared exactly");
  }
  return { element, update };
}
