// The answers with the most hits, what there is to know of one, and purging it.

import { Rows, at, cell, heading, make, say } from "./dom.js";
import { clock, count, parameters, rate, seconds } from "./format.js";

export class Hottest {
  /** `tell` is called with what came of a purge; `called` returns what a process is called. */
  constructor(api, tell, called) {
    this.api = api;
    this.tell = tell;
    this.called = called;
    this.rows = new Rows(at("hottest"), (each) => each.key, (each) => this.#create(each));
  }

  show(hottest) {
    this.rows.show(hottest);
    at("hottest-none").hidden = hottest.length > 0;
  }

  #create({ key, namespace, parameters: given }) {
    const number = cell("number");
    const name = `${namespace} ${parameters(given)}`;
    const explain = make("button", { type: "button", ariaLabel: `Explain ${name}` }, "Explain");
    const purge = make("button", { type: "button", ariaLabel: `Purge ${name}` }, "Purge");
    explain.addEventListener("click", () => this.#explain(key));
    purge.addEventListener("click", () => this.#purge(key, namespace, name));
    return {
      row: make(
        "tr",
        {},
        heading("break", make("span", {}, namespace), make("div", { className: "small quiet" }, parameters(given))),
        cell("mono", key.split(":")[1].slice(0, 8), "…"),
        number,
        cell("", make("div", { className: "row-form" }, explain, purge)),
      ),
      update: (each) => say(number, rate(each.per_second)),
    };
  }

  async #explain(key) {
    let explanation;
    try {
      explanation = await this.api.get(`cache/explain/${encodeURIComponent(key)}`);
    } catch (error) {
      this.tell(`It cannot be explained: ${error.message}`);
      return;
    }
    const facts = factsOf(explanation, this.called(explanation.view.process)).flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]);
    at("explanation-facts").replaceChildren(...facts);
    at("explanation-judged").replaceChildren(...judgements(explanation.judged));
    at("explanation").showModal();
  }

  async #purge(key, namespace, name) {
    try {
      const response = await this.api.ask("cache/invalidate", { method: "POST", body: { namespace, key } });
      const { generation } = await response.json();
      this.tell(`Purged ${name} everywhere, with generation ${generation}. The next request for it is a miss.`);
    } catch (error) {
      this.tell(`Not purged: ${error.message}`);
    }
  }
}

/** What is known of an answer, by the process that was asked: behind a proxy that may be another than this page's. */
function factsOf({ key, parameters: given, served, view, entry, affected_by, last_affected_by }, process) {
  const asked = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== null));
  const facts = [
    ["Question", parameters(asked)],
    ["Key", key],
    ["Asked", process],
    ["Served from cache", served ? "yes: nothing that changed since affects it" : "no"],
  ];
  if (view.lease_seconds_left <= 0) facts.push(["Why not", "it has no lease: answers come from Postgres"]);
  if (entry === null) facts.push(["Cached", "neither in its memory nor in Redis: the next request is a miss"]);
  else {
    facts.push(
      ["Cached", `${entry.layer === "l1" ? "in its memory (L1)" : "in Redis (L2)"}, ${count(entry.bytes)} bytes`],
      ["Since", `${clock(entry.stored_at)}, under generation ${entry.stamp}`],
      ["Until", until(entry.ttl_seconds_left, affected_by !== null)],
    );
  }
  if (affected_by) facts.push(["Outdated by", changeOf(affected_by)]);
  facts.push(["Last invalidated", last_affected_by ? changeOf(last_affected_by) : "by nothing that it remembers"]);
  return facts;
}

function until(left, outdated) {
  if (left <= 0) return "its time is over";
  return `${seconds(left, 1)} from now${outdated ? "" : ", unless a change affects it"}`;
}

/** What a change was. A generation is the time when it was made, in microseconds. */
function changeOf({ generation, why, row }) {
  const values = row && (row.new ?? row.old);
  return `${clock(generation / 1e6)}: ${why}${values ? ` (${parameters(values)})` : ""}`;
}

function judgements(judged) {
  if (!judged.length) return [];
  const rows = judged.slice(0, 8).map(({ generation, why, row }) =>
    make("tr", {}, cell("mono", clock(generation / 1e6)), cell("", why), cell("break", parameters(row?.new ?? row?.old ?? {}))),
  );
  const head = ["Time", "What it means for this answer", "Row"].map((name) => make("th", { scope: "col" }, name));
  return [
    make("h3", {}, "Changes that it has met"),
    make("table", {}, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...rows)),
  ];
}
