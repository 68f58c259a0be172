// The journal, followed live. After a lost connection it goes on from the last event of each stream.

const WAIT_MS_MIN = 500;
const WAIT_MS_MAX = 10_000;
const CLOSED_FOR_GOOD = new Set([4400, 4403, 4404]);
const LOGIN_NEEDED = 4401;

export class EventStream {
  #last = new Map(); // stream -> last seq
  #socket = null;
  #portfolio = null;
  #wait = WAIT_MS_MIN;
  #timer = null;

  /** handlers: event(event), state("live" | "connecting" | "lost", reason), opened(), login() */
  constructor(handlers) {
    this.handlers = handlers;
  }

  follow(portfolio) {
    this.#portfolio = portfolio;
    this.#wait = WAIT_MS_MIN;
    clearTimeout(this.#timer);
    const old = this.#socket;
    this.#socket = null; // its end is none of our business any more
    old?.close();
    this.#connect();
  }

  #connect() {
    const query = new URLSearchParams({ portfolio: this.#portfolio });
    if (this.#last.has(this.#portfolio)) query.set("since", this.#last.get(this.#portfolio));
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/ws/events?${query}`);
    this.#socket = socket;
    this.handlers.state("connecting");
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

  #take(event) {
    if (event.seq <= (this.#last.get(event.stream) ?? 0)) return;
    this.#wait = WAIT_MS_MIN; // something came: the line is good
    this.#last.set(event.stream, event.seq);
    this.handlers.event(event);
  }

  #ended(end) {
    if (end.code === LOGIN_NEEDED) return this.handlers.login();
    if (CLOSED_FOR_GOOD.has(end.code)) return this.handlers.state("lost", end.reason);
    this.handlers.state("connecting");
    const wait = this.#wait * (0.75 + Math.random() / 2); // so that not all come back at once
    this.#wait = Math.min(this.#wait * 2, WAIT_MS_MAX);
    this.#timer = setTimeout(() => this.#connect(), wait);
  }
}
