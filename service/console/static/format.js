// Numbers and times as people read them.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });

export const NONE = "–";

/** 1,234 or 12.3: as many digits as matter. */
export const rate = (value) => (value === null ? NONE : value >= 100 || value === 0 ? whole.format(value) : tenths.format(value));

export const count = (value) => whole.format(value);

/** 0.987 is 98.7 %. */
export const percent = (value) => (value === null ? NONE : `${tenths.format(100 * value)} %`);

export const seconds = (value, digits = 2) => `${value.toFixed(digits)} s`;

/** 0.6 ms, 12.3 ms, 2.10 s. */
export function milliseconds(value) {
  if (value === null || value === undefined) return "?";
  return value < 1000 ? `${value.toFixed(1)} ms` : `${(value / 1000).toFixed(2)} s`;
}

export const mebibytes = (bytes) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

/** How long something has been there: 45 s, 12 min, 3.5 h, 2.0 d. */
export function duration(value) {
  if (value < 120) return `${value.toFixed(0)} s`;
  if (value < 7200) return `${(value / 60).toFixed(0)} min`;
  return value < 172800 ? `${(value / 3600).toFixed(1)} h` : `${(value / 86400).toFixed(1)} d`;
}

/** A moment of Unix time, in seconds, by the reader's own clock on the wall. */
export function clock(at) {
  const date = new Date(at * 1000);
  const two = (part) => String(part).padStart(2, "0");
  const ms = String(date.getMilliseconds()).padStart(3, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${ms}`;
}

/** {status: "NEW", limit: 10} is limit=10 status=NEW. */
export const parameters = (given) =>
  Object.entries(given)
    .map(([name, value]) => `${name}=${value}`)
    .sort()
    .join("  ");
