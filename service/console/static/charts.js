// The charts: uPlot, in the page's colours, as wide as their place.

import uPlot from "./uPlot.esm.js";

const KEPT_SECONDS = 300;
const DARK = matchMedia("(prefers-color-scheme: dark)");

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const faint = (name) => `color-mix(in srgb, ${colour(name)} 16%, transparent)`;

const axis = (more = {}) => ({
  stroke: colour("--quiet"),
  font: "12px system-ui, sans-serif",
  grid: { stroke: colour("--line"), width: 1 },
  ticks: { show: false },
  ...more,
});

/** A chart in `place`. `options` are made anew when the colours change. */
class Chart {
  constructor(place, options, data) {
    this.place = place;
    this.options = options;
    this.data = data;
    new ResizeObserver(() => this.#fit()).observe(place);
    DARK.addEventListener("change", () => this.#draw());
  }

  show(data) {
    this.data = data;
    if (this.plot) this.plot.setData(data);
    else this.#draw();
  }

  #size() {
    return { width: Math.floor(this.place.clientWidth), height: Math.floor(this.place.clientHeight) };
  }

  #fit() {
    if (this.plot && this.place.clientWidth) this.plot.setSize(this.#size());
    else this.#draw();
  }

  #draw() {
    this.plot?.destroy();
    this.plot = null;
    if (!this.place.clientWidth) return;
    this.plot = new uPlot({ ...this.options(), ...this.#size(), legend: { show: false } }, this.data, this.place);
  }
}

/** Two lines over the last five minutes. `most` is the top of the scale where it is known; `values` writes its numbers. */
export class Lines {
  constructor(place, { most = null, values }) {
    const now = Date.now() / 1000;
    this.points = [[now], [null], [null]];
    this.chart = new Chart(place, () => this.#options(most, values), this.points);
  }

  /** Take what there is now; null where it is not known. */
  add(first, second) {
    const now = Date.now() / 1000;
    this.points[0].push(now);
    this.points[1].push(first);
    this.points[2].push(second);
    while (this.points[0][0] < now - KEPT_SECONDS) for (const each of this.points) each.shift();
    this.chart.show(this.points);
  }

  #options(most, values) {
    const line = (name, more) => ({ stroke: colour(name), width: 2, points: { show: false }, ...more });
    return {
      cursor: { show: false },
      scales: {
        x: { range: (_, __, last) => [last - KEPT_SECONDS, last] },
        y: { range: (_, __, top) => [0, most ?? Math.max(1, (top ?? 0) * 1.1)] },
      },
      axes: [
        axis({ grid: { show: false }, size: 26, incrs: [60, 120, 300], space: 44, values: (_, splits) => splits.map(minutes) }),
        axis({ size: 48, space: 36, values: (_, splits) => splits.map(values) }),
      ],
      series: [{}, line("--first", { fill: faint("--first") }), line("--second", { dash: [6, 4] })],
    };
  }
}

const minutes = (at) => {
  const date = new Date(at * 1000);
  return `${date.getHours()}:${String(date.getMinutes()).padStart(2, "0")}`;
};

const NARROW = 340;
const WHOLE = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];

/** How many there are of each of several kinds, as bars. */
export class Bars {
  constructor(place, names) {
    this.names = names;
    this.at = names.map((_, index) => index);
    this.chart = new Chart(place, () => this.#options(), [this.at, names.map(() => 0)]);
  }

  show(counts) {
    this.chart.show([this.at, counts]);
  }

  #options() {
    return {
      cursor: { show: false },
      scales: {
        x: { time: false, range: () => [-0.6, this.names.length - 0.4] },
        y: { range: (_, __, top) => [0, Math.max(1, (top ?? 0) * 1.1)] },
      },
      axes: [
        axis({
          grid: { show: false },
          size: 26,
          splits: () => this.at,
          // Where there is no room for all names, every other one.
          values: (plot, splits) => splits.map((index) => (plot.width < NARROW && index % 2 ? "" : this.names[index])),
        }),
        axis({ size: 48, incrs: WHOLE, values: (_, splits) => splits }),
      ],
      series: [
        {},
        {
          fill: colour("--first"),
          stroke: colour("--first"),
          width: 0,
          points: { show: false },
          paths: uPlot.paths.bars({ size: [0.8, 60] }),
        },
      ],
    };
  }
}
