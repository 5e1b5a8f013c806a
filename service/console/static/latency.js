// How long changes take from Redis to the replicas: the latest arrivals, as a distribution.

import { Bars } from "./charts.js";
import { at, cell, make, say } from "./dom.js";
import { count, milliseconds } from "./format.js";

const BOUNDS = [0.5, 1, 2, 5, 10, 25, 50, 100, 250, Infinity];
const NAMES = BOUNDS.map((bound) => (bound === Infinity ? "more" : String(bound)));
const MOST = 1000;

export class Latency {
  constructor() {
    this.arrivals = []; // milliseconds, the newest last
    this.newest = new Map(); // the newest generation that each process has told of
    this.bars = new Bars(at("latency-chart"), NAMES);
    this.cells = BOUNDS.map((bound) => {
      const number = cell("number", "0");
      const upTo = bound === Infinity ? "more" : `${bound} ms`;
      at("latency-table").append(make("tr", {}, make("th", { scope: "row" }, upTo), number));
      return number;
    });
  }

  /** Take what the processes say that they have applied. */
  show(processes) {
    for (const { process, applied } of processes) {
      const known = this.newest.get(process) ?? 0;
      const fresh = applied.filter(({ generation }) => generation > known);
      if (!fresh.length) continue;
      this.arrivals.push(...fresh.map((each) => each.milliseconds));
      this.newest.set(process, fresh.at(-1).generation);
    }
    const there = new Set(processes.map(({ process }) => process));
    for (const process of this.newest.keys()) if (!there.has(process)) this.newest.delete(process);
    this.arrivals.splice(0, this.arrivals.length - MOST);
    this.#draw();
  }

  #draw() {
    const counts = BOUNDS.map(() => 0);
    for (const each of this.arrivals) counts[BOUNDS.findIndex((bound) => each <= bound)] += 1;
    this.bars.show(counts);
    counts.forEach((number, index) => say(this.cells[index], count(number)));
    const sorted = this.arrivals.toSorted((one, other) => one - other);
    if (!sorted.length) return;
    const quantile = (share) => milliseconds(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]);
    const text = `p50 ${quantile(0.5)}, p95 ${quantile(0.95)}, worst ${quantile(1)}, of the latest ${count(sorted.length)} arrivals`;
    say(at("latency-note"), text);
    at("latency-chart").ariaLabel = `How long changes took to arrive, in milliseconds: ${text}`;
  }
}
