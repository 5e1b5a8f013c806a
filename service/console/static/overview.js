// The row of figures on top, and the charts of the traffic.

import { Lines } from "./charts.js";
import { at, make, say } from "./dom.js";
import { NONE, percent, rate, seconds } from "./format.js";
import { hitRates } from "./traffic.js";

const STILL = matchMedia("(prefers-reduced-motion: reduce)");
const TICK_MS = 200;

const key = (className, text) => make("span", {}, make("span", { className: `swatch ${className}` }), text);

export class Overview {
  constructor() {
    this.hits = new Lines(at("hits-chart"), { most: 1, values: (each) => `${Math.round(100 * each)} %` });
    this.traffic = new Lines(at("traffic-chart"), { values: String });
    at("hits-key").append(key("", "all hits"), key("second", "L1 alone"));
    at("traffic-key").append(key("", "requests"), key("second", "loads from Postgres"));
    this.lease = { until: 0, of: 1 };
    setInterval(() => STILL.matches || this.#countDown(), TICK_MS);
  }

  /** Take the state, and what all replicas answer a second (null: not known yet). */
  show(state, all) {
    this.#traffic(all);
    const { staleness_bound: now, max_staleness: most, lease_left: left } = state;
    say(at("staleness"), left > 0 || now > 0 ? seconds(now) : NONE);
    at("staleness").dataset.tone = now > most ? "bad" : "";
    const promise = `no answer is older; the promise is ${seconds(most, 1)}`;
    say(at("promise"), left > 0 || now > 0 ? promise : "answers come from Postgres");
    this.lease = { until: performance.now() / 1000 + left, of: most };
    this.#countDown();
  }

  /** Nothing is heard from the server. */
  lost() {
    this.lease.until = 0;
    this.#countDown();
  }

  #traffic(all) {
    const [share, l1] = all ? hitRates(all) : [null, null];
    say(at("hit-rate"), percent(share));
    const none = "no reads through the cache in the last seconds";
    say(at("hit-layers"), share === null ? none : `L1 ${percent(l1)}, Redis ${percent(share - l1)}`);
    say(at("requests"), all ? rate(all.requests) : NONE);
    say(at("loads"), all ? rate(all.loads) : NONE);
    say(at("bypasses"), all && all.bypasses > 0 ? `a second; ${rate(all.bypasses)} reads past the cache` : "a second");
    this.hits.add(share, l1);
    this.traffic.add(all?.requests ?? null, all?.loads ?? null);
    at("hits-chart").ariaLabel = `Hit rate by layer, the last five minutes; now ${at("hit-rate").textContent}`;
    at("traffic-chart").ariaLabel =
      `Requests and loads, the last five minutes; now ${at("requests").textContent} and ${at("loads").textContent} a second`;
  }

  #countDown() {
    const left = Math.max(0, this.lease.until - performance.now() / 1000);
    say(at("lease"), left > 0 ? seconds(left, 1) : NONE);
    say(at("lease-note"), left > 0 ? "unless it is renewed, as it is all the time" : "no lease: no cache");
    at("lease-left").style.width = `${Math.min(100, (100 * left) / this.lease.of)}%`;
  }
}
