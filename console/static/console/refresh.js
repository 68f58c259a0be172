// Loads panels again when something happened, but each at most once a second, however many events come.

const GAP_MS = 1000;
const SETTLE_MS = 150; // the events of one transaction come together

export class Refresher {
  #states = new Map();

  /** loaders: name -> async function that loads and shows that panel; failed(error) is told of problems. */
  constructor(loaders, failed) {
    this.loaders = loaders;
    this.failed = failed;
  }

  all() {
    this.soon(...Object.keys(this.loaders));
  }

  soon(...names) {
    for (const name of names) {
      const state = this.#states.get(name) ?? { last: 0, timer: null, busy: false, again: false };
      this.#states.set(name, state);
      if (state.busy) state.again = true;
      else if (!state.timer) {
        const wait = Math.max(SETTLE_MS, state.last + GAP_MS - performance.now());
        state.timer = setTimeout(() => this.#run(name, state), wait);
      }
    }
  }

  async #run(name, state) {
    state.timer = null;
    state.busy = true;
    state.last = performance.now();
    try {
      await this.loaders[name]();
    } catch (error) {
      this.failed(error);
    } finally {
      state.busy = false;
      if (state.again) {
        state.again = false;
        this.soon(name);
      }
    }
  }
}
