// What each panel shows. Every function gets data of the API and returns an element.

import { DASH, badge, h, moment, money, number, profit, quantity, table } from "./format.js";

const figure = (name, value, kind = "") => h("div", { class: `figure ${kind}` }, h("dt", {}, name), h("dd", {}, value));

export function worth({ portfolio, account, valuation }) {
  return h(
    "div",
    {},
    h(
      "dl",
      { class: "figures" },
      figure(`Equity, ${portfolio.base_currency}`, money(valuation.equity), "main"),
      figure("Cash", money(portfolio.cash)),
      figure("Free cash", money(portfolio.available_cash)),
      figure("Market value", money(valuation.market_value)),
      figure("Unrealised", profit(valuation.unrealised_pnl)),
      figure("Realised", profit(portfolio.realised_pnl)),
    ),
    h("p", { class: "dim" }, `You are its ${portfolio.role.replace("_", " ")} · `, account?.is_live ? badge("live money") : "paper account"),
  );
}

export function session(row, performance, buttons) {
  if (!row) return h("div", {}, h("p", { class: "dim" }, "No session yet."), h("menu", {}, buttons));
  return h(
    "div",
    {},
    h("p", { class: "state" }, badge(row.status), " ", h("b", {}, row.session_name || "Unnamed session")),
    h(
      "dl",
      { class: "figures" },
      figure("Trades", number(row.total_trades)),
      figure("Realised", profit(row.total_pnl)),
      figure("Fees", money(performance?.fees)),
      figure("Win rate", performance?.win_rate == null ? DASH : `${number(performance.win_rate * 100, 1)} %`),
    ),
    h("p", { class: "dim" }, `Started ${moment(row.start_time)}`, row.started_by ? ` by ${row.started_by}` : "",
      row.end_time ? ` · ended ${moment(row.end_time)}` : "", row.stop_reason ? ` · ${row.stop_reason}` : ""),
    h("menu", {}, buttons),
  );
}

export const positions = (rows) =>
  table("Positions", [
    ["Symbol", (row) => h("b", {}, row.symbol)],
    ["Quantity", (row) => quantity(row.quantity), "number"],
    ["Cost", (row) => money(row.average_cost), "number"],
    ["Price", (row) => money(row.price), "number"],
    ["Value", (row) => money(row.market_value), "number"],
    ["Unrealised", (row) => profit(row.unrealised_pnl), "number"],
  ], rows, { empty: "Nothing is held." });

/** `reasons`: decision id -> its sentence. */
export const trades = (rows, reasons, open) =>
  table("Latest trades", [
    ["Market time", (row) => moment(row.market_at), "time"],
    ["Side", (row) => badge(row.trade_type)],
    ["Symbol", (row) => h("b", {}, row.symbol)],
    ["Quantity", (row) => quantity(row.quantity), "number"],
    ["Price", (row) => money(row.executed_price ?? row.trigger_price), "number"],
    ["Status", (row) => badge(row.status)],
    ["Why", (row) => row.status_reason || reasons.get(row.decision_id) || row.rule_name || row.origin, "words"],
  ], rows, { open, empty: "No trade yet." });

export const decisions = (rows, open) =>
  table("Latest decisions", [
    ["Market time", (row) => moment(row.last_market_at), "time"],
    ["Outcome", (row) => badge(row.outcome)],
    ["Symbol", (row) => h("b", {}, row.symbol ?? DASH)],
    ["Rule", (row) => row.rule_name ?? DASH],
    ["Detail", (row) => row.detail || row.code, "words"],
    ["Repeated", (row) => (row.repeated ? number(row.repeated) : ""), "number"],
  ], rows, { open, empty: "No rule has triggered yet." });

const armedBy = (row) =>
  row.armed_by_breaker ? `breaker ${row.armed_by_breaker.replaceAll("_", " ")}` : (row.armed_by ?? row.armed_by_rule_name ?? "system");

export const halts = (rows, release) =>
  rows.map((row) =>
    h(
      "div",
      { class: "halt", role: "alert" },
      h("b", {}, `${row.mode === "halt" ? "HALTED" : "REDUCE ONLY"}: ${row.scope}${row.scope === "symbol" ? ` ${row.scope_id}` : ""}`),
      h("span", {}, `${row.reason} — ${armedBy(row)}, ${moment(row.armed_at)}, ${row.drained_at ? "drained" : "draining"}`),
      row.may_release ? h("button", { type: "button", onclick: () => release(row) }, "Release") : null,
    ),
  );

export function event({ kind, at, payload, alert }) {
  return h("li", {}, h("time", {}, moment(at)), " ", h("b", { class: `kind of-${kind.split(".")[0]}` }, kind), " ", alert ? alert.message : told(kind, payload));
}

function told(kind, payload) {
  if (kind.startsWith("trade.")) {
    const price = payload.fill_price ?? payload.executed_price ?? payload.trigger_price;
    const at = price ? ` at ${money(price)}` : "";
    const filled = payload.fill_quantity ? `${quantity(payload.fill_quantity)} of ` : "";
    return `${payload.trade_type} ${filled}${quantity(payload.quantity)} ${payload.symbol}${at}${payload.reason ? ` · ${payload.reason}` : ""}`;
  }
  if (kind === "decision.made") return `${payload.outcome} ${payload.detail}`;
  const plain = Object.entries(payload).filter(([name, value]) => !name.endsWith("_id") && value !== "" && value !== null);
  return plain.map(([name, value]) => `${name} ${typeof value === "object" ? JSON.stringify(value) : value}`).join(" · ");
}

// --- why: the record of a decision ------------------------------------------------------------

const OUTCOMES = new Map([[true, ["✓", "yes"]], [false, ["✗", "no"]], [null, ["?", "unknown"]]]);

const NUMERIC = /^-?\d+(\.\d+)?$/; // numbers of the record are text, so that they stay exact

function shown(value) {
  if (value === null || value === undefined) return "unknown";
  if (Array.isArray(value)) return value.map(shown).join(", ");
  if (typeof value === "object") return `${shown(value.previous)} → ${shown(value.last)}`;
  return NUMERIC.test(value) ? number(value, 4) : String(value);
}

function condition(node) {
  const [sign, kind] = OUTCOMES.get(node.outcome ?? null);
  const mark = h("span", { class: `mark ${kind}`, title: kind }, sign);
  const group = ["all", "any", "not"].find((name) => name in node);
  if (group) {
    const children = group === "not" ? [node.not] : node[group];
    return h("li", {}, mark, ` ${group} of`, h("ul", { class: "tree" }, children.map(condition)));
  }
  return h("li", {}, mark, " ", h("b", {}, node.field.replaceAll("_", " ")), ` ${node.operator.replaceAll("_", " ")} `,
    h("b", {}, shown(node.threshold)), `: it is ${shown(node.fact)}`);
}

const part = (title, content) => h("section", {}, h("h3", {}, title), content);
const pairs = (object) =>
  h("dl", { class: "pairs" }, Object.entries(object).map(([name, value]) => [h("dt", {}, name.replaceAll("_", " ")), h("dd", {}, shown(value))]));

/** Who won or blocked, in words: ids tell nobody anything. */
const beatenBy = ({ rule_id, rule_version_id, rule_name, version, ...rest }) =>
  rule_name ? { rule: `${rule_name}, version ${version}`, ...rest } : { rule_version_id, ...rest };

/** Why, as GET …/details tells it of a trade or of a decision. */
export function story({ decision, explanation, sizing, checks, executions, outranked_by: beaten }) {
  return h(
    "div",
    {},
    h("p", {}, badge(decision.outcome), " ", decision.detail || decision.code),
    explanation?.conditions && part("Conditions", h("ul", { class: "tree" }, condition(explanation.conditions))),
    explanation?.schedule && part("Schedule", h("ul", { class: "tree" }, condition(explanation.schedule))),
    sizing && Object.keys(sizing).length ? part("Size", pairs(sizing)) : null,
    checks?.length
      ? part("Risk controls", table("Risk controls", [
          ["Control", (row) => row.code],
          ["Value", (row) => shown(row.value), "number"],
          ["Limit", (row) => shown(row.limit), "number"],
          ["", (row) => (row.passed ? h("span", { class: "mark yes" }, "✓ passed") : h("span", { class: "mark no" }, "✗ refused"))],
        ], checks))
      : null,
    beaten ? part("Lost against", pairs(beatenBy(beaten))) : null,
    executions?.length
      ? part("Fills", table("Fills", [
          ["Market time", (row) => moment(row.market_at), "time"],
          ["Quantity", (row) => quantity(row.quantity), "number"],
          ["Price", (row) => money(row.price), "number"],
          ["Fee", (row) => money(row.fee), "number"],
        ], executions))
      : null,
  );
}
