// The table of the replicas and listeners.

import { Rows, at, cell, heading, make, say } from "./dom.js";
import { NONE, count, duration, mebibytes, milliseconds, percent, rate, seconds } from "./format.js";
import { hitRates } from "./traffic.js";

const TONES = { serving: "good", active: "good", standby: "quiet", bypassing: "bad" };
const LABELS = { api: "API", listener: "listener" };

/** What a process is called everywhere on the page. */
export const nameOf = ({ host, pid }) => `${host}:${pid}`;

export class Processes {
  constructor() {
    this.rows = new Rows(at("processes"), (each) => each.process, create);
    this.known = [];
  }

  /** Return what a process is called, and whether it is the one that this page hears from. */
  called(process) {
    const known = this.known.find((each) => each.process === process);
    return `${known ? nameOf(known) : "a process"}, ${process === this.here ? "which this page hears from" : "another than this page hears from"}`;
  }

  /** Take the state, and the traffic by process. */
  show(state, traffic) {
    this.known = state.processes;
    this.here = state.process;
    this.rows.show(state.processes.map((each) => ({ ...each, rates: traffic.of(each.process), here: state.process })));
    const note = at("processes-note");
    note.hidden = state.all_known && state.left_out === 0;
    if (!state.all_known) say(note, "Redis does not say who is there: only the process that answers this page is shown.");
    else if (state.left_out) say(note, `${count(state.left_out)} more are not shown.`);
  }
}

function create({ process, here, kind, host, pid }) {
  const name = make("span", { className: "break" }, nameOf({ host, pid }));
  const also = process === here ? " · this page’s" : "";
  const state = make("span", { className: "pill" });
  const problem = make("div", { className: "small quiet break" });
  const numbers = Array.from({ length: 6 }, () => cell("number"));
  const version = cell();
  const first = heading("", name, make("div", { className: "small quiet" }, `${LABELS[kind]}${also}`));
  const [lease, requests, hits, l1, last, up] = numbers;
  return {
    row: make("tr", {}, first, cell("", state, problem), ...numbers, version),
    update(each) {
      state.dataset.tone = TONES[each.state] ?? "warn";
      say(state, each.state);
      say(problem, each.problem ?? "");
      say(lease, each.lease_left > 0 ? seconds(each.lease_left, 1) : NONE);
      say(requests, rate(each.rates?.requests ?? null));
      say(hits, percent(each.rates && hitRates(each.rates)[0]));
      say(l1, each.traffic ? `${count(each.traffic.l1_entries)} · ${mebibytes(each.traffic.l1_bytes)}` : NONE);
      say(last, each.applied.length ? milliseconds(each.applied.at(-1).milliseconds) : NONE);
      say(up, duration(each.up));
      say(version, each.version);
    },
  };
}
