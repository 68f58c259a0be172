/**
 * A frontend's first hour against the types of docs/openapi.json: it is compiled by `make test`, so a change of the API
 * that would break a program like it is seen before it is released. It runs, too: BASE, USERNAME and PASSWORD.
 */
import createClient from "openapi-fetch";

import type { components, paths } from "../build/api";
import { line } from "./events";

type Portfolio = components["schemas"]["Portfolio"];
type Problem = components["schemas"]["Problem"];
type Session = components["schemas"]["Session"];
type Trade = components["schemas"]["Trade"];

const base = process.env.BASE ?? "http://127.0.0.1:8000";
const api = createClient<paths>({ baseUrl: base });

class Refused extends Error {
  constructor(readonly problem: Problem) {
    super(`${problem.status} ${problem.code}: ${problem.detail}`);
  }

  /** Codes are an enumeration (docs/problems.md), so the compiler knows a misspelt one. */
  get mayTryAgain(): boolean {
    return this.problem.code === "throttled" || this.problem.code === "unavailable";
  }
}

function answered<T>(answer: { data?: T; error?: unknown }): T {
  if (answer.data === undefined) throw new Refused(answer.error as Problem);
  return answer.data;
}

async function logIn(username: string, password: string): Promise<void> {
  const { token } = answered(await api.POST("/api/auth/login", { body: { username, password } }));
  api.use({
    onRequest: ({ request }) => {
      request.headers.set("Authorization", `Token ${token}`);
      return request;
    },
  });
}

/** All of a list, page by page: `next` is a whole address whose cursor is handed on. */
async function trades(portfolio_id: string): Promise<Trade[]> {
  const found: Trade[] = [];
  let cursor: string | undefined;
  do {
    const query = cursor === undefined ? { page_size: 100 } : { page_size: 100, cursor };
    const page = answered(
      await api.GET("/api/auto-trading/trades/{portfolio_id}", { params: { path: { portfolio_id }, query } }),
    );
    found.push(...page.results);
    cursor = page.next === null ? undefined : (new URL(page.next).searchParams.get("cursor") ?? undefined);
  } while (cursor !== undefined);
  return found;
}

/** The same key again gives the first answer: a lost connection is no reason to start two sessions. */
async function start(portfolio: Portfolio, key: string): Promise<Session> {
  return answered(
    await api.POST("/api/auto-trading/sessions/start", {
      params: { header: { "Idempotency-Key": key } },
      body: {
        portfolio_id: portfolio.id,
        session_name: "First hour",
        config: { universe: { symbols: ["AAPL"] } },
      },
    }),
  );
}

/** Only as it was seen: 412 when somebody changed it meanwhile. */
async function pause(session: Session): Promise<Session> {
  const path = { id: session.id };
  const seen = await api.GET("/api/auto-trading/sessions/{id}/status", { params: { path } });
  answered(seen);
  const tag = seen.response.headers.get("ETag") ?? "*";
  return answered(
    await api.POST("/api/auto-trading/sessions/{id}/pause", {
      params: { path, header: { "If-Match": tag } },
      body: { reason: "First look" },
    }),
  );
}

/** A browser sends no header with a WebSocket: it shows a ticket, good once and for half a minute. */
async function socketAddress(portfolio: Portfolio, since: number): Promise<string> {
  const { ticket } = answered(await api.POST("/api/stream/tickets"));
  const query = new URLSearchParams({ portfolio: portfolio.id, since: String(since), ticket });
  return `${base.replace(/^http/, "ws")}/ws/events?${query}`;
}

async function firstHour(): Promise<void> {
  await logIn(process.env.USERNAME ?? "alice", process.env.PASSWORD ?? "");
  const [portfolio] = answered(await api.GET("/api/portfolios")).results;
  if (portfolio === undefined) throw new Error("no portfolio to look at");
  for (const trade of await trades(portfolio.id)) {
    console.log(trade.created_at, trade.symbol, trade.trade_type, trade.quantity, trade.status);
  }
  const events = answered(
    await api.GET("/api/journal", { params: { query: { portfolio: portfolio.id } } }),
  ).results;
  for (const event of events) console.log(event.at, line(event) ?? event.kind);
  console.log(await socketAddress(portfolio, events.at(-1)?.seq ?? 0));
  const session = await start(portfolio, crypto.randomUUID());
  console.log((await pause(session)).status);
}

firstHour().catch((problem: unknown) => {
  console.error(problem instanceof Refused ? problem.problem : problem);
  if (problem instanceof Refused && problem.mayTryAgain) console.error("try again in a moment");
  process.exitCode = 1;
});
