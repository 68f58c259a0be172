// Values as people read them, and elements without innerHTML: nothing that anybody wrote can become markup.

export const DASH = "–";

/** h("td", {class: "number"}, "1", …): an element. Properties that begin with "on" are listeners. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

/** A decimal text such as "12500.50000000": grouped, at most `places` decimals. */
export function number(text, places = 2, least = 0) {
  if (text === null || text === undefined || text === "") return DASH;
  const value = Number(text);
  if (!Number.isFinite(value)) return String(text);
  return value.toLocaleString("en", { minimumFractionDigits: least, maximumFractionDigits: places });
}

export const money = (text) => number(text, 2, 2);
export const quantity = (text) => number(text, 8);

/** Signed and coloured: a gain, a loss, or neither. */
export function profit(text) {
  if (text === null || text === undefined) return h("span", {}, DASH);
  const value = Number(text);
  const tone = value > 0 ? "gain" : value < 0 ? "loss" : "";
  return h("span", { class: tone }, `${value > 0 ? "+" : ""}${money(text)}`);
}

/** "2004-01-02T21:00:00Z" as 2004-01-02 21:00:00, in UTC like everything here. */
export const moment = (text) => (text ? new Date(text).toISOString().slice(0, 19).replace("T", " ") : DASH);

export const badge = (text) => h("span", { class: `badge is-${text}` }, String(text).replaceAll("_", " "));

/** A table from columns [title, cell(row), class] and rows; `open(row)` makes its rows clickable. */
export function table(caption, columns, rows, { open, empty = "Nothing yet." } = {}) {
  if (!rows.length) return h("p", { class: "dim" }, empty);
  const head = h("tr", {}, columns.map(([title, , kind]) => h("th", { scope: "col", class: kind }, title)));
  const body = rows.map((row) => {
    const cells = columns.map(([, cell, kind]) => h("td", { class: kind }, cell(row)));
    if (!open) return h("tr", {}, cells);
    const act = () => open(row);
    const key = (event) => {
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        act();
      }
    };
    return h("tr", { class: "opens", tabindex: "0", role: "button", onclick: act, onkeydown: key }, cells);
  });
  return h("table", {}, h("caption", { class: "hidden" }, caption), h("thead", {}, head), h("tbody", {}, body));
}
