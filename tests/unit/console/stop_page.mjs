// The whole page with a server that answers when it is told to: what the red button names is what it stops.
import assert from "node:assert/strict";

const elements = new Map();
class Element {
  children = [];
  attributes = {};
  listeners = {};
  disabled = true; // as the template has it
  textContent = "";
  append(...children) {
    this.children.push(...children);
  }
  prepend(...children) {
    this.children.unshift(...children);
  }
  replaceChildren(...children) {
    this.children = children;
  }
  get firstChild() {
    return this.children[0];
  }
  setAttribute(name, value) {
    this.attributes[name] = value;
  }
  addEventListener(name, act) {
    this.listeners[name] = act;
  }
  querySelector() {
    return (this.form ??= Object.assign(new Element(), { reset() {}, elements: {} }));
  }
  remove() {}
  showModal() {}
}
const $ = (id) => elements.get(id) ?? elements.set(id, new Element()).get(id);
globalThis.document = {
  hidden: false,
  getElementById: $,
  createElement: () => new Element(),
  querySelector: () => ({ value: "token" }),
  querySelectorAll: () => [],
  addEventListener() {},
};
globalThis.location = { protocol: "https:", host: "here", hash: "" };
globalThis.history = { replaceState() {} };
globalThis.setInterval = () => 0;
globalThis.WebSocket = class {
  addEventListener() {}
  close() {}
};
globalThis.FormData = class {
  constructor(form) {
    this.form = form;
  }
  [Symbol.iterator]() {
    return [["reason", "smoke"], ["mode", "halt"]][Symbol.iterator]();
  }
};

const asked = []; // what waits for an answer
globalThis.fetch = (path, { body } = {}) =>
  new Promise((resolve) => asked.push({ path, body, answers: (found) => resolve(new Response(JSON.stringify(found))) }));
async function question(path) {
  for (let tries = 0; tries < 500; tries++) {
    const found = asked.find((one) => one.path === path);
    if (found) return asked.splice(asked.indexOf(found), 1)[0];
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.fail(`nobody asked for ${path}`);
}
const settled = () => new Promise((resolve) => setTimeout(resolve, 20));

const A = { id: "a", name: "Anna's", role: "owner" };
const B = { id: "b", name: "Ben's", role: "trader" };
const C = { id: "c", name: "Cleo's", role: "viewer" };
const worth = (portfolio) => ({ portfolio: { ...portfolio, base_currency: "USD" }, account: null, valuation: { as_of: null } });

/** Press the button and submit: the name in the dialog, and the portfolio that is stopped. */
async function press() {
  assert.equal($("stop").disabled, false);
  $("stop").listeners.click();
  const named = $("stop-name").textContent;
  $("stop-dialog").form.onsubmit();
  $("stop-dialog").onclose();
  const sent = await question("/api/emergency-stop");
  sent.answers({});
  await settled();
  return [named, JSON.parse(sent.body).scope_id];
}

await import(process.argv[2]);
assert.equal($("stop").disabled, true, "before it is known what there is to stop");
(await question("/api/portfolios?page_size=500")).answers({ results: [A, B, C] });
(await question("/api/portfolios/a")).answers(worth(A));
await settled();
assert.deepEqual(await press(), ["Anna's", "a"]);

// another portfolio is chosen, and its data has not come yet
$("portfolio").listeners.change({ target: { value: "b" } });
assert.deepEqual(await press(), ["Ben's", "b"]);

// an answer of the portfolio that was left comes too late
$("portfolio").listeners.change({ target: { value: "a" } });
const late = await question("/api/portfolios/a");
$("portfolio").listeners.change({ target: { value: "b" } });
late.answers(worth(A));
await settled();
assert.deepEqual(await press(), ["Ben's", "b"]);

// the dialog is open while the page shows something else: it stops what it names
$("stop").listeners.click();
$("portfolio").listeners.change({ target: { value: "a" } });
assert.equal($("stop-name").textContent, "Ben's");
$("stop-dialog").form.onsubmit();
$("stop-dialog").onclose();
assert.equal(JSON.parse((await question("/api/emergency-stop")).body).scope_id, "b");

// one that is not the viewer's to stop
$("portfolio").listeners.change({ target: { value: "c" } });
assert.equal($("stop").disabled, true);
console.log("all is well");
process.exit(0);
