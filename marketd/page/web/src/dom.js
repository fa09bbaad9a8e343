// SPDX-License-Identifier: Apache-2.0
// Elements, and tables that are brought up to date without losing the focus or the place.

export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

// Sets what differs only, so that a screen reader hears of nothing that stayed.
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// A table whose rows are lists of cells: a text, or { text, href, class }. `columns`: { text, class }.
export function table(caption, columns) {
  const body = h("tbody");
  const head = h("tr", {}, columns.map((c) => h("th", { scope: "col", class: c.class }, c.text)));
  const element = h(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    h("table", {}, h("caption", { class: "hidden" }, caption), h("thead", {}, head), body),
  );
  const setCell = (td, cell, column) => {
    const { text, href, class: extra = "" } = typeof cell === "object" ? cell : { text: cell };
    const name = [column.class, extra].filter(Boolean).join(" ");
    if (td.className !== name) td.className = name;
    if (href) {
      let link = td.firstElementChild;
      if (link?.tagName !== "A") td.replaceChildren((link = h("a")));
      if (link.getAttribute("href") !== href) link.setAttribute("href", href);
      setText(link, text);
    } else {
      setText(td, text);
    }
  };
  const update = (rows) => {
    while (body.rows.length > rows.length) body.lastElementChild.remove();
    while (body.rows.length < rows.length) {
      body.append(h("tr", {}, columns.map((_, i) => h(i === 0 ? "th" : "td", i === 0 ? { scope: "row" } : {}))));
    }
    rows.forEach((row, r) => row.forEach((cell, c) => setCell(body.rows[r].cells[c], cell, columns[c])));
  };
  return { element, update };
}

// A titled box with a line below the title that says what is seen.
export function card(title, note, ...children) {
  const text = h("p", { class: "note" }, note ?? "");
  const element = h("section", { class: "card" }, h("h2", {}, title), text, ...children);
  return { element, note: (value) => setText(text, value) };
}

export const empty = (text) => h("p", { class: "empty" }, text);
