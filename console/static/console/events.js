// The journal, followed live. After a lost connection it goes on from the last event of each stream.

const WAIT_MS_MIN = 500;
const WAIT_MS_MAX = 10_000;
const CLOSED_FOR_GOOD = new Set([4400, 4403, 4404]);
const BAD_REQUEST = 4400;
const LOGIN_NEEDED = 4401;
const HEARTBEAT = "stream.heartbeat";
const HEARTBEATS_MISSED_MAX = 3;
const HEARTBEAT_SECONDS_MAX = 60; // the longest that a server may be set to; each heartbeat tells the real one

export class EventStream {
  #last = new Map(); // stream -> last seq
  #socket = null;
  #portfolio = null;
  #wait = WAIT_MS_MIN;
  #timer = null;
  #silence = null; // the timer that ends a dead line
  #heartbeat = HEARTBEAT_SECONDS_MAX;

  /** handlers: event(event), state("live" | "connecting" | "lost", reason), opened(), login() */
  constructor(handlers) {
    this.handlers = handlers;
  }

  follow(portfolio) {
    this.#portfolio = portfolio;
    this.#wait = WAIT_MS_MIN;
    clearTimeout(this.#timer);
    this.#leave();
    this.#connect();
  }

  #connect() {
    const query = new URLSearchParams({ portfolio: this.#portfolio });
    if (this.#last.has(this.#portfolio)) query.set("since", this.#last.get(this.#portfolio));
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/ws/events?${query}`);
    this.#socket = socket;
    this.handlers.state("connecting");
    this.#listen();
    socket.addEventListener("open", () => {
      if (socket !== this.#socket) return;
      this.handlers.state("live");
      this.handlers.opened();
    });
    socket.addEventListener("message", (message) => {
      if (socket === this.#socket) this.#take(JSON.parse(message.data));
    });
    socket.addEventListener("close", (end) => {
      if (socket === this.#socket) this.#ended(end);
    });
  }

  /** A line that is silent for longer than some heartbeats is dead, whatever the browser believes. */
  #listen() {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => {
      this.#leave();
      this.#again();
    }, HEARTBEATS_MISSED_MAX * this.#heartbeat * 1000);
  }

  #leave() {
    clearTimeout(this.#silence);
    const old = this.#socket;
    this.#socket = null; // its end is none of our business any more
    old?.close();
  }

  #take(message) {
    this.#wait = WAIT_MS_MIN; // something came: the line is good
    if (message.kind === HEARTBEAT) this.#heartbeat = message.seconds;
    this.#listen();
    if (message.kind === HEARTBEAT || message.seq <= (this.#last.get(message.stream) ?? 0)) return;
    this.#last.set(message.stream, message.seq);
    this.handlers.event(message);
  }

  #ended(end) {
    clearTimeout(this.#silence);
    if (end.code === LOGIN_NEEDED) return this.handlers.login();
    // a server that was restored from a backup has not come as far: begin anew, as who never knew it
    if (end.code === BAD_REQUEST && this.#last.delete(this.#portfolio)) return this.#again();
    if (CLOSED_FOR_GOOD.has(end.code)) return this.handlers.state("lost", end.reason);
    this.#again();
  }

  #again() {
    this.handlers.state("connecting");
    const wait = this.#wait * (0.75 + Math.random() / 2); // so that not all come back at once
    this.#wait = Math.min(this.#wait * 2, WAIT_MS_MAX);
    this.#timer = setTimeout(() => this.#connect(), wait);
  }
}
