// The console: one portfolio, live. It shows what the API tells and asks for what the API permits.

import { Problem, get, list, post } from "./api.js";
import { EventStream } from "./events.js";
import { h, moment } from "./format.js";
import * as panels from "./panels.js";
import { Refresher } from "./refresh.js";

const FEED_MAX = 200;
const PRICES_EVERY_MS = 3000; // equity and positions move with every snapshot, which is no event
const EVERYTHING_EVERY_MS = 30_000;
const MAY_TRADE = new Set(["trader", "owner"]);
const MAY_STOP = new Set(["trader", "risk_officer", "owner"]);
const CONCERNS = {
  trade: ["worth", "positions", "trades", "session"],
  position: ["worth", "positions"],
  cash: ["worth"],
  decision: ["decisions"],
  session: ["session"],
  halt: ["halts"],
};

const $ = (id) => document.getElementById(id);
const state = { portfolio: null, role: null, session: null, aim: null };

// --- telling ------------------------------------------------------------------------------------

function notice(text, kind = "problem") {
  const said = [...$("notices").children].find((item) => item.firstChild.textContent === text);
  if (said) return;
  const item = h("p", { class: kind }, h("span", {}, text), h("button", { type: "button", class: "link", "aria-label": "Dismiss", onclick: () => item.remove() }, "×"));
  $("notices").append(item);
  setTimeout(() => item.remove(), kind === "done" ? 4000 : 12_000);
}

function failed(error) {
  if (error instanceof Problem && error.status === 401) location.reload();
  else if (error instanceof Problem) notice(error.message);
  else throw error;
}

async function ask(work, done) {
  try {
    await work();
    notice(done, "done");
  } catch (error) {
    failed(error);
  }
  refresher.all();
}

// --- panels -------------------------------------------------------------------------------------

/** Show what was loaded, unless another portfolio was chosen meanwhile. */
async function load(paths, show) {
  const portfolio = state.portfolio;
  const answers = await Promise.all(paths(portfolio));
  if (portfolio === state.portfolio) show(...answers);
}

const loaders = {
  worth: () =>
    load((id) => [get(`portfolios/${id}`)], (found) => {
      aim(found.portfolio);
      $("clock").textContent = moment(found.valuation.as_of);
      $("worth").replaceChildren(panels.worth(found));
    }),
  positions: () =>
    load((id) => [list(`portfolios/${id}/positions?page_size=100`)], (rows) => $("positions").replaceChildren(panels.positions(rows))),
  session: () =>
    load((id) => [newestSession(id)], ([row, performance]) => {
      state.session = row;
      $("session").replaceChildren(panels.session(row, performance, sessionButtons(row)));
    }),
  trades: () =>
    load(
      (id) => [list(`auto-trading/trades/${id}?page_size=15`), list(`auto-trading/decisions/${id}?outcome=traded&page_size=30`)],
      (rows, decided) => {
        const reasons = new Map(decided.map((row) => [row.id, row.detail]));
        $("trades").replaceChildren(panels.trades(rows, reasons, (row) => details("trades", row.id, `${row.trade_type} ${row.symbol}`)));
      },
    ),
  decisions: () =>
    load((id) => [list(`auto-trading/decisions/${id}?page_size=15`)], (rows) =>
      $("decisions").replaceChildren(panels.decisions(rows, (row) => details("decisions", row.id, `${row.rule_name ?? "Decision"}: ${row.symbol ?? "portfolio"}`))),
    ),
  halts: () =>
    load((id) => [list(`emergency-stop?in_force=true&portfolio=${id}&page_size=100`)], (rows) =>
      $("halts").replaceChildren(...panels.halts(rows, release)),
    ),
};

async function newestSession(portfolio) {
  const [row] = await list(`auto-trading/sessions/${portfolio}?page_size=1`);
  return row ? [row, (await get(`auto-trading/sessions/${row.id}/status`)).performance] : [null, null];
}

const refresher = new Refresher(loaders, failed);

async function details(kind, id, title) {
  try {
    const story = await get(`auto-trading/${kind}/${id}/details`);
    $("details-title").textContent = title;
    $("details").replaceChildren(panels.story(story));
    $("details-dialog").showModal();
  } catch (error) {
    failed(error);
  }
}

// --- acting -------------------------------------------------------------------------------------

/** Open a dialog; its fields when it was submitted, null when it was dismissed. */
function answered(dialog) {
  const form = dialog.querySelector("form");
  return new Promise((resolve) => {
    let fields = null;
    form.onsubmit = () => {
      fields = Object.fromEntries(new FormData(form));
    };
    dialog.onclose = () => resolve(fields);
    dialog.showModal();
  });
}

function sessionButtons(row) {
  if (!MAY_TRADE.has(state.role)) return [];
  const button = (text, act, kind = "") => h("button", { type: "button", class: kind, onclick: act }, text);
  const pause = button("Pause", () => reasoned("pause", "Pause", "No new entries from now on; exits and risk rules go on."));
  const stop = button("Stop", () => reasoned("stop", "Stop", "The session ends for ever; positions are kept or sold as its config says."));
  if (!row || row.status === "stopped") return [button("Start a session", start, "primary")];
  if (row.status === "active") return [pause, stop];
  if (row.status === "paused") return [button("Resume", resume, "primary"), stop];
  if (row.status === "stopping" && row.config.on_stop === "flatten" && !row.keeps_at_stop) {
    const text = "What is held and cannot be sold stays, and the session ends.";
    return [button("Keep what is held", () => reasoned("stop", "Stop", text, { on_stop: "keep" }))];
  }
  return [];
}

async function start() {
  const form = $("start-dialog").querySelector("form");
  form.elements.config.value = JSON.stringify(state.session?.config ?? {}, null, 2);
  const fields = await answered($("start-dialog"));
  if (!fields) return;
  let config;
  try {
    config = JSON.parse(fields.config || "{}");
  } catch (error) {
    return notice(`The config is not valid JSON: ${error.message}`);
  }
  const body = { portfolio_id: state.portfolio, session_name: fields.session_name, config };
  await ask(() => post("auto-trading/sessions/start", body), "The session is started.");
}

async function resume() {
  const { id } = state.session;
  await ask(() => post(`auto-trading/sessions/${id}/resume`), "The session is active.");
}

async function reasoned(verb, title, text, more = {}) {
  const { id } = state.session;
  $("reason-title").textContent = `${title} the session`;
  $("reason-text").textContent = text;
  $("reason-submit").textContent = title;
  const dialog = $("reason-dialog");
  dialog.querySelector("form").reset();
  const fields = await answered(dialog);
  if (fields) await ask(() => post(`auto-trading/sessions/${id}/${verb}`, { reason: fields.reason, ...more }), `${title}: done.`);
}

/** The red button stops the portfolio that it names: one object has both, whatever is loading meanwhile. */
function aim({ id, name, role }) {
  state.role = role;
  state.aim = { id, name };
  $("stop").title = `Stop ${name}`;
  $("stop").disabled = !MAY_STOP.has(role);
}

async function emergencyStop() {
  const { id: scope_id, name } = state.aim; // as it is when the button is pressed
  $("stop-name").textContent = name;
  $("stop-dialog").querySelector("form").reset();
  const fields = await answered($("stop-dialog"));
  if (fields) await ask(() => post("emergency-stop", { scope: "portfolio", scope_id, mode: fields.mode, reason: fields.reason }), `Trading of ${name} is stopped.`);
}

const release = (row) => ask(() => post(`emergency-stop/${row.id}/release`), "The emergency stop is released.");

// --- the day ------------------------------------------------------------------------------------

const stream = new EventStream({
  event(event) {
    $("events").prepend(panels.event(event));
    while ($("events").children.length > FEED_MAX) $("events").lastChild.remove();
    refresher.soon(...(CONCERNS[event.kind.split(".")[0]] ?? []));
  },
  state(name, reason) {
    $("live").className = `live is-${name}`;
    $("live").textContent = reason ? `${name}: ${reason}` : name;
  },
  opened: () => refresher.all(),
  login: () => location.reload(),
});

/** `portfolio`: as the list tells it, so that the red button need not wait until the rest is loaded. */
function choose(portfolio) {
  const { id } = portfolio;
  state.portfolio = id;
  state.session = null;
  aim(portfolio);
  for (const name of ["worth", "session", "positions", "trades", "decisions", "events", "halts"]) $(name).replaceChildren();
  history.replaceState(null, "", `#${id}`);
  stream.follow(id);
  refresher.all();
}

async function begin() {
  const portfolios = await list("portfolios?page_size=500");
  if (!portfolios.length) return notice("You are not a member of any portfolio.");
  $("portfolio").replaceChildren(...portfolios.map((row) => h("option", { value: row.id }, row.name)));
  const wanted = location.hash.slice(1);
  const known = new Map(portfolios.map((row) => [row.id, row]));
  const first = known.get(wanted) ?? portfolios[0];
  $("portfolio").value = first.id;
  $("portfolio").addEventListener("change", (change) => choose(known.get(change.target.value)));
  $("stop").addEventListener("click", emergencyStop);
  for (const button of document.querySelectorAll("button.dismiss[type=button]")) button.addEventListener("click", () => button.closest("dialog").close());
  choose(first);
  setInterval(() => document.hidden || refresher.soon("worth", "positions"), PRICES_EVERY_MS);
  setInterval(() => document.hidden || refresher.all(), EVERYTHING_EVERY_MS);
  document.addEventListener("visibilitychange", () => document.hidden || refresher.all());
}

begin().catch(failed);
