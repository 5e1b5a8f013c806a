// The stream of changes, and when each arrived where.

import { Rows, at, cell, make, say } from "./dom.js";
import { clock, count, milliseconds } from "./format.js";
import { nameOf } from "./processes.js";

const SHOWN = 40;
const PATIENCE_SECONDS = 6;

/** The changes that passed: each with the milliseconds that it took to each process, by the process' id. */
export class Changes {
  constructor() {
    this.passed = new Map();
    this.leftOut = 0;
    this.replicas = [];
    this.listeners = new Set();
    this.rows = new Rows(at("changes"), (each) => each.generation, create);
  }

  /** Call `listener(change)` with each change that comes, or of which more is known. */
  listen(listener) {
    this.listeners.add(listener);
  }

  /** Take an event of the stream. */
  take({ changes, left_out }) {
    this.leftOut += left_out;
    for (const change of changes) {
      const known = this.passed.get(change.generation);
      this.passed.set(change.generation, {
        ...change,
        milliseconds: { ...known?.milliseconds, ...change.milliseconds },
        seen: known?.seen ?? performance.now() / 1000,
      });
    }
    const generations = [...this.passed.keys()].sort((one, other) => other - one);
    for (const generation of generations.slice(SHOWN)) this.passed.delete(generation);
    this.#show();
  }

  /** Take what the processes say that they have applied. */
  witness(processes) {
    this.replicas = processes.filter(({ kind }) => kind === "api");
    for (const { process, applied } of this.replicas) {
      for (const { generation, milliseconds: took } of applied) {
        const change = this.passed.get(generation);
        if (change) change.milliseconds[process] = took;
      }
    }
    this.#show();
  }

  /** Return [name, milliseconds; null: it may yet say; undefined: it did not say] of each replica that there is. */
  arrivals(change) {
    const waiting = performance.now() / 1000 - change.seen < PATIENCE_SECONDS ? null : undefined;
    return this.replicas.map((each) => [nameOf(each), change.milliseconds[each.process] ?? waiting]);
  }

  #show() {
    const newest = [...this.passed.values()].sort((one, other) => other.generation - one.generation);
    this.rows.show(newest.map((change) => ({ ...change, arrivals: this.arrivals(change) })));
    const note = at("changes-note");
    note.hidden = newest.length > 0 && this.leftOut === 0;
    if (this.leftOut) say(note, `${count(this.leftOut)} more passed too quickly to be shown.`);
    for (const change of newest) for (const listener of this.listeners) listener(change);
  }
}

/** What changed, in words. */
function what({ namespaces, rows, causes }) {
  const of = namespaces.join(", ");
  if (rows === null) return of === "everything" ? of : `everything of ${of}`;
  if (rows === 0 && causes.includes("purge")) return `one answer of ${of}`;
  return `${count(rows)} ${rows === 1 ? "row" : "rows"} of ${of}`;
}

function create(change) {
  const chips = make("div", { className: "chips" });
  const made = new Map();
  return {
    row: make(
      "tr",
      { className: "fresh" },
      cell("mono", clock(change.time)),
      cell("", what(change)),
      cell("", change.causes.join(", ")),
      cell("", chips),
    ),
    update({ arrivals }) {
      for (const [name, took] of arrivals) {
        if (!made.has(name)) {
          const number = make("b");
          made.set(name, number);
          chips.append(make("span", { className: "chip" }, `${name} `, number));
        }
        say(made.get(name), took === null ? "…" : milliseconds(took));
      }
    },
  };
}
