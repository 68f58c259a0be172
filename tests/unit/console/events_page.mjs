// A page with a clock that only moves when it is told to, and sockets that say what they are told to say.
import assert from "node:assert/strict";

let clock = 0;
const timers = new Set();
globalThis.setTimeout = (act, ms) => {
  const timer = { act, at: clock + ms };
  timers.add(timer);
  return timer;
};
globalThis.clearTimeout = (timer) => timers.delete(timer);
function pass(seconds) {
  const end = clock + seconds * 1000;
  for (;;) {
    const due = [...timers].filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0];
    if (!due) break;
    timers.delete(due);
    clock = due.at;
    due.act();
  }
  clock = end;
}

const sockets = [];
globalThis.location = { protocol: "https:", host: "here" };
globalThis.WebSocket = class {
  #on = {};
  constructor(url) {
    this.url = url;
    sockets.push(this);
  }
  addEventListener(name, act) {
    this.#on[name] = act;
  }
  close() {
    this.closed = true;
  }
  opens() {
    this.#on.open();
  }
  says(message) {
    this.#on.message({ data: JSON.stringify(message) });
  }
  ends(code) {
    this.#on.close({ code, reason: "why" });
  }
};

const { EventStream } = await import(process.argv[2]);
const seen = [];
const stream = new EventStream({
  event: (event) => seen.push(event.seq),
  state: (name) => seen.push(name),
  opened: () => seen.push("opened"),
  login: () => seen.push("login"),
});
const told = () => seen.splice(0);
const event = (seq) => ({ stream: "p", seq, kind: "trade.filled", payload: {} });
const beat = { kind: "stream.heartbeat", at: "2026-11-02T15:30:00Z", seconds: 10 };

stream.follow("p");
assert.equal(sockets[0].url, "wss://here/ws/events?portfolio=p");
sockets[0].opens();
sockets[0].says(event(1));
assert.deepEqual(told(), ["connecting", "live", "opened", 1]);

// a heartbeat is no event, and keeps the line for three times as long as it says
sockets[0].says(beat);
pass(29);
sockets[0].says(beat);
pass(29);
assert.deepEqual([told(), sockets.length], [[], 1]);

// then the line is dead: it is left, and what it says later is not heard
pass(5);
assert.deepEqual([told(), sockets.length, sockets[0].closed], [["connecting", "connecting"], 2, true]);
assert.equal(sockets[1].url, "wss://here/ws/events?portfolio=p&since=1");
sockets[0].says(event(2));
sockets[0].ends(1006);
assert.deepEqual([told(), sockets.length], [[], 2]);

// a double is let pass; a line that breaks is taken up again
sockets[1].opens();
sockets[1].says(event(1));
sockets[1].says(event(2));
sockets[1].ends(1006);
pass(5);
assert.deepEqual(told(), ["live", "opened", 2, "connecting", "connecting"]);
assert.equal(sockets[2].url, "wss://here/ws/events?portfolio=p&since=2");

// some ends are for good
sockets[2].ends(4404);
pass(1000);
assert.deepEqual([told(), sockets.length], [["lost"], 3]);
stream.follow("q");
sockets[3].ends(4401);
pass(1000);
assert.deepEqual([told(), sockets.length], [["connecting", "login"], 4]);

// the server was restored from a backup and has not come so far: it is begun anew, once
stream.follow("p");
assert.equal(sockets[4].url, "wss://here/ws/events?portfolio=p&since=2");
sockets[4].ends(4400);
pass(5);
assert.equal(sockets[5].url, "wss://here/ws/events?portfolio=p");
sockets[5].opens();
sockets[5].says(event(1));
assert.deepEqual(told(), ["connecting", "connecting", "connecting", "live", "opened", 1]);
stream.follow("q");
sockets[6].ends(4400);
pass(1000);
assert.deepEqual([told(), sockets.length], [["connecting", "lost"], 7]);

// another portfolio: the old line is nobody's business any more
stream.follow("p");
stream.follow("q");
assert.equal(sockets[7].closed, true);
sockets[7].ends(4404);
assert.deepEqual(told(), ["connecting", "connecting"]);
console.log("all is well");
