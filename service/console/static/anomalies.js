// The newest anomalies, the setting of a status, and how its invalidation travels.

import { Rows, at, cell, heading, make, say } from "./dom.js";
import { count, milliseconds } from "./format.js";

const SHOWN = 10;
const STATUSES = ["NEW", "INVESTIGATING", "INVESTIGATED", "CONFIRMED", "DISMISSED"];
const PAUSE_MS = 1500; // Between two readings: an admin's go to Postgres.

export class Anomalies {
  /** `changes` says what arrived when; `tell` is called with what came of setting a status. */
  constructor(api, changes, tell) {
    this.api = api;
    this.changes = changes;
    this.tell = tell;
    this.latest = 0;
    this.due = null;
    this.travelling = null;
    this.rows = new Rows(at("anomalies"), (each) => each.transaction_id, (each) => this.#create(each));
    changes.listen((change) => this.#passed(change));
  }

  /** Read them, now. */
  async read() {
    clearTimeout(this.due);
    this.due = null;
    try {
      const { anomalies } = await this.api.get(`anomalies?limit=${SHOWN}`);
      this.rows.show(anomalies);
    } catch (error) {
      this.tell(`The anomalies cannot be read: ${error.message}`);
    }
  }

  #passed(change) {
    if (change.generation === this.travelling?.generation) this.#arrive(change);
    if (change.generation <= this.latest) return;
    this.latest = change.generation;
    const about = change.namespaces.some((each) => each === "anomalies" || each === "everything");
    if (about && this.due === null && !document.hidden) this.due = setTimeout(() => this.read(), PAUSE_MS);
  }

  #create(anomaly) {
    const id = anomaly.transaction_id;
    const [account, amount, score] = [cell("break"), cell("number"), cell("number")];
    const options = STATUSES.map((status) => make("option", { value: status }, status));
    const select = make("select", { ariaLabel: `Status of ${id}` }, ...options);
    const set = make("button", { type: "submit", ariaLabel: `Set the status of ${id}` }, "Set");
    const form = make("form", { className: "row-form" }, select, set);
    let current = null;
    const offer = () => (set.disabled = select.value === current);
    select.addEventListener("change", offer);
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const wanted = select.value;
      set.disabled = true;
      if (await this.#set(id, current, wanted)) current = wanted;
      offer();
    });
    return {
      row: make("tr", {}, heading("break", id), account, amount, score, cell("", form)),
      update(each) {
        say(account, each.account_id);
        say(amount, `${each.amount.toLocaleString("en", { minimumFractionDigits: 2 })} ${each.currency}`);
        say(score, each.score === null ? "–" : each.score.toFixed(2));
        // A choice that is being made is left alone.
        if (current === null || select.value === current) select.value = each.status;
        current = each.status;
        offer();
      },
    };
  }

  async #set(id, before, wanted) {
    const began = performance.now();
    try {
      const path = `anomalies/${encodeURIComponent(id)}`;
      const response = await this.api.ask(path, { method: "PUT", body: { new_status: wanted } });
      const took = performance.now() - began;
      const generation = Number(response.headers.get("Cache-Generation"));
      this.#depart(`${id}: ${before} → ${wanted}`, took, generation);
      return true;
    } catch (error) {
      this.tell(`The status of ${id} is not set: ${error.message}`);
      return false;
    }
  }

  #depart(title, took, generation) {
    at("travel").hidden = false;
    say(at("travel-title"), title);
    at("travel-list").replaceChildren();
    this.bars = new Map();
    if (!generation) {
      say(at("travel-note"), "Committed. Redis could not be told: replicas show it within the staleness bound.");
      this.tell(`${title}: committed`);
      return;
    }
    this.travelling = { generation, told: false };
    say(at("travel-note"), `The PUT was answered after ${milliseconds(took)}, with generation ${generation}.`);
    this.tell(`${title}: committed and announced`);
    const known = this.changes.passed.get(generation);
    if (known) this.#arrive(known);
  }

  #arrive(change) {
    const arrivals = this.changes.arrivals(change);
    const slowest = Math.max(1, ...arrivals.map(([, took]) => took ?? 0));
    for (const [name, took] of arrivals) {
      if (!this.bars.has(name)) {
        const [fill, number] = [make("span", { className: "fill" }), make("b")];
        fill.style.width = "0%";
        this.bars.set(name, { fill, number });
        const track = make("span", { className: "track", ariaHidden: "true" }, fill);
        at("travel-list").append(make("li", {}, make("span", { className: "break" }, name), track, number));
      }
      const { fill, number } = this.bars.get(name);
      if (took === null) say(number, "on its way …");
      else if (took === undefined) say(number, "did not say");
      else {
        say(number, milliseconds(took));
        fill.style.width = `${Math.max(4, (100 * took) / slowest)}%`;
      }
    }
    const all = arrivals.length > 0 && arrivals.every(([, took]) => typeof took === "number");
    if (!all || this.travelling.told) return;
    this.travelling.told = true;
    this.tell(`The change is at all ${count(arrivals.length)} replicas; the slowest took ${milliseconds(Math.max(...arrivals.map(([, took]) => took)))}.`);
  }
}
