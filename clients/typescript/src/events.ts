/**
 * What a program makes of events, with nothing left to chance: `kind` tells what `payload` holds, and the compiler
 * shows each kind that `line` does not speak of. What the server sends is a kind more, one day: it is passed over.
 */
import type { components } from "../build/api";

export type Event = components["schemas"]["Event"];
type Heartbeat = components["schemas"]["StreamHeartbeat"];
type Message = Event | Heartbeat;

/** Each event of a socket once and in order; returns the `seq` to begin with after a reconnect. */
export function follow(socket: WebSocket, since: number, tell: (line: string) => void): () => number {
  let last = since;
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(String(data)) as Message;
    if (message.kind === "stream.heartbeat") return;
    const told = line(message);
    if (told !== undefined) tell(`${message.at} ${told}`);
    last = message.seq;
  };
  return () => last;
}

/** For people; undefined: not worth a line here. */
export function line(event: Event): string | undefined {
  switch (event.kind) {
    case "cash.deposited":
    case "cash.withdrawn": {
      const { amount, cash, currency } = event.payload;
      return `${event.kind} ${amount} ${currency}, now ${cash}`;
    }
    case "halt.armed":
    case "halt.released":
      return `${event.kind} ${event.payload.scope} by ${event.payload.actor}: ${event.payload.reason}`;
    case "position.changed":
      return `${event.payload.symbol}: ${event.payload.quantity} held at ${event.payload.average_cost}`;
    case "rule.activated":
    case "rule.deactivated":
      return `${event.kind} ${event.payload.name}, version ${event.payload.version}`;
    case "session.started":
      return `started ${event.payload.session_name}`;
    case "session.stopped":
      return `stopped after ${event.payload.total_trades} trades: ${event.payload.total_pnl}`;
    case "trade.filled":
    case "trade.partially_filled": {
      const { trade_type, fill_quantity, quantity, symbol, fill_price } = event.payload;
      return `${trade_type} ${fill_quantity ?? "?"} of ${quantity} ${symbol} at ${fill_price ?? "?"}`;
    }
    case "trade.cancelled":
    case "trade.expired":
    case "trade.rejected":
      return `${event.kind} ${event.payload.symbol}: ${event.payload.reason ?? "no reason was given"}`;

    case "account.activity_booked": case "account.connected": case "account.disconnected":
    case "account.keys_replaced": case "account.paper_market_set":
    case "alert.acknowledged":
    case "broker.not_connected":
    case "corporate_action.priced": case "corporate_action.recorded": case "corporate_action.source_failed":
    case "corporate_action.unrecorded": case "corporate_action.waiting": case "corporate_action.withdrawn":
    case "decision.made":
    case "dividend.booked":
    case "entry.reversed":
    case "execution.failing":
    case "fleet.mismatch": case "fleet.version_required":
    case "four_eyes.disabled": case "four_eyes.enabled":
    case "halt.drained": case "halt.not_drained":
    case "instrument.tagged":
    case "limits.approved": case "limits.proposed": case "limits.rejected": case "limits.set":
    case "market.bars_imported": case "market.calendar_ending": case "market.calendar_loaded":
    case "market.feed_was_silent":
    case "market.gap_filled": case "market.gap_found": case "market.gap_stays_open":
    case "market.instrument_added": case "market.quarantined": case "market.replay_finished":
    case "market.symbol_left_out":
    case "member.removed": case "member.set":
    case "orders.not_cancelled":
    case "permissions.approved": case "permissions.proposed": case "permissions.rejected": case "permissions.set":
    case "portfolio.created":
    case "position.split":
    case "process.clock_off": case "process.missing":
    case "protection.failing": case "protection.recovered": case "protection.refused": case "protection.removed":
    case "protection.set":
    case "protection.triggered":
    case "recommendation_source.changed": case "recommendation_source.created":
    case "recommendation_source.pull_failed": case "recommendation_source.pull_removed":
    case "recommendation_source.pull_set":
    case "recommender.rejected": case "recommender.trained":
    case "reconciliation.break": case "reconciliation.break_ended": case "reconciliation.break_explained":
    case "reconciliation.failing":
    case "rule.alerted": case "rule.approved": case "rule.archived": case "rule.created": case "rule.proposed":
    case "rule.rejected": case "rule.updated":
    case "session.failing": case "session.flatten_refused": case "session.paused": case "session.plan_changed":
    case "session.plan_created": case "session.plan_deleted": case "session.plan_disabled":
    case "session.plan_enabled": case "session.plan_skipped": case "session.resumed": case "session.stopping":
    case "slice.failing":
    case "streams.failing": case "streams.missing": case "streams.not_connected":
    case "trade.accepted": case "trade.cancel_requested": case "trade.cancelling": case "trade.created":
    case "trade.pending": case "trade.quarantined": case "trade.submitting": case "trade.triggered":
    case "trade.turned_up": case "trade.unknown":
      return undefined;
    default:
      return passedOver(event);
  }
}

/** The compiler lets no event through to here; the server may, once there is a kind that it has learnt since. */
function passedOver(event: never): undefined {
  void event;
}
