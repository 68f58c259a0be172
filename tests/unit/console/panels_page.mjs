// What the page says of an event, by a document that only keeps the words.
import assert from "node:assert/strict";

globalThis.document = {
  createElement: () => ({
    words: "",
    append(...children) {
      this.words += children.map((child) => child.words ?? child).join("");
    },
    setAttribute() {},
    addEventListener() {},
  }),
};

const { event } = await import(process.argv[2]);
const at = "2026-11-02T15:30:00Z";
const said = (kind, payload, more = {}) => event({ kind, at, payload, ...more }).words.split(`${kind} `)[1];
const order = { trade_type: "buy", symbol: "IBM", quantity: "100", executed_price: null };

assert.equal(said("trade.created", { ...order, trigger_price: "10" }), "buy 100 IBM at 10.00");

// a part is a part, at its own price: not the order, at the mean of its fills
const part = { ...order, fill_quantity: "40", fill_price: "10.5", executed_price: "10.2", filled_quantity: "60" };
assert.equal(said("trade.partially_filled", part), "buy 40 of 100 IBM at 10.50");
assert.equal(said("trade.cancelled", { ...order, executed_price: "10.2", reason: "A halt" }), "buy 100 IBM at 10.20 · A halt");

// of what people are told is told what they are told
const alert = { id: "1", severity: "critical", message: "The broker does not answer." };
assert.equal(said("execution.failing", { reason: "timeout" }, { alert }), "The broker does not answer.");
console.log("all is well");
