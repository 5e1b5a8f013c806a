// The console: who is there, what is heard, and who shows it.

import { Anomalies } from "./anomalies.js";
import { Api } from "./api.js";
import { Changes } from "./changes.js";
import { at, say } from "./dom.js";
import { Hottest } from "./hottest.js";
import { Latency } from "./latency.js";
import { Overview } from "./overview.js";
import { Processes, nameOf } from "./processes.js";
import { follow } from "./stream.js";
import { Traffic } from "./traffic.js";

const HEALTH = { ready: "good", degraded: "warn", unready: "bad" };
const FINE = new Set(["ok", "on", "done", "disabled"]);

const tell = (text) => say(at("said"), text);

function pill(id, tone, text) {
  at(id).dataset.tone = tone;
  at(id).hidden = false;
  say(at(id), text);
}

class Console {
  constructor() {
    this.api = new Api();
    this.paused = false;
    this.traffic = new Traffic();
    this.overview = new Overview();
    this.processes = new Processes();
    this.latency = new Latency();
    this.changes = new Changes();
    this.hottest = new Hottest(this.api, tell, (process) => this.processes.called(process));
    this.anomalies = new Anomalies(this.api, this.changes, tell);
    at("door").addEventListener("submit", (event) => {
      event.preventDefault();
      this.api.key = at("key").value.trim();
      at("key").value = "";
      this.enter();
    });
    at("leave").addEventListener("click", () => this.leave(""));
    at("pause").addEventListener("click", () => this.pause(!this.paused));
    if (this.api.key !== null) this.enter();
    else at("key").focus();
  }

  /** Follow the stream for as long as the key will do. */
  async enter() {
    this.session = new AbortController();
    say(at("refusal"), "");
    pill("connection", "quiet", "Connecting …");
    const handlers = {
      connected: () => this.connected(),
      lost: (reason, wait) => this.lost(reason, wait),
      state: (state) => this.state(state),
      changes: (changes) => this.paused || this.changes.take(changes),
    };
    try {
      await follow(this.api, handlers, this.session.signal);
    } catch (error) {
      if (!error.unwelcome) throw error;
      this.leave(error.status === 403 ? "This key is not an admin’s." : "This key is not known here.");
    }
  }

  /** Forget the key, and show the door. */
  leave(why) {
    this.session?.abort();
    this.api.key = null;
    this.pause(false);
    at("door").hidden = false;
    at("console").hidden = at("session").hidden = at("health").hidden = true;
    say(at("answering"), "");
    pill("connection", "quiet", "Signed out");
    say(at("refusal"), why);
    tell("");
    at("key").focus();
  }

  connected() {
    const first = at("console").hidden;
    at("door").hidden = true;
    at("console").hidden = at("session").hidden = false;
    pill("connection", "good", this.paused ? "Paused" : "Live");
    tell("Connected: what follows is live.");
    if (first) at("main").focus();
    this.anomalies.read();
  }

  lost(reason, wait) {
    pill("connection", "bad", `Reconnecting in ${Math.max(1, Math.round(wait / 1000))} s`);
    if (at("console").hidden) {
      say(at("refusal"), `${reason} Trying again.`);
      return;
    }
    at("health").hidden = true;
    tell("The connection is lost; what is shown is as it was.");
    this.overview.lost();
  }

  state(state) {
    if (this.paused) return;
    const own = state.processes.find(({ process }) => process === state.process);
    if (own) say(at("answering"), `answered by ${nameOf(own)}, version ${own.version}`);
    const wrong = Object.entries(state.checks).filter(([, value]) => !FINE.has(value));
    const why = wrong.map(([name, value]) => `${name} ${value}`).join(", ");
    pill("health", HEALTH[state.status] ?? "warn", why ? `${state.status}: ${why}` : state.status);
    this.traffic.take(state.processes);
    this.overview.show(state, this.traffic.all());
    this.processes.show(state, this.traffic);
    this.latency.show(state.processes);
    this.changes.witness(state.processes);
    this.hottest.show(state.hottest);
  }

  /** Have what is shown stand still, or go on. */
  pause(paused) {
    this.paused = paused;
    at("pause").ariaPressed = String(paused);
    if (!at("session").hidden) pill("connection", paused ? "warn" : "good", paused ? "Paused" : "Live");
  }
}

new Console();
