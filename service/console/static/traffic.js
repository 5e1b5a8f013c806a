// What the replicas answered, worked out of the totals that each of them tells once a second.

const COUNTED = ["requests", "l1_hits", "l2_hits", "misses", "bypasses", "loads"];
const SMOOTH_SECONDS = 5;

/** The share of the hits in hits and misses, and that of L1's alone; null where there was neither. */
export function hitRates({ l1_hits, l2_hits, misses }) {
  const asked = l1_hits + l2_hits + misses;
  return asked > 0 ? [(l1_hits + l2_hits) / asked, l1_hits / asked] : [null, null];
}

const none = () => Object.fromEntries(COUNTED.map((name) => [name, 0]));

const sum = (rates) => {
  const total = none();
  for (const each of rates) for (const name of COUNTED) total[name] += each[name];
  return total;
};

/** One replica: its last totals, and how many of each a second there were lately. */
class Replica {
  constructor() {
    this.seen = [];
  }

  take({ up, traffic }) {
    const last = this.seen.at(-1);
    // One that has said nothing new since may have stopped: what it said before ages.
    if (last && up <= last.up) return;
    this.seen.push({ up, ...traffic });
    while (this.seen.length > 2 && this.seen[1].up < up - SMOOTH_SECONDS) this.seen.shift();
  }

  /** A second's worth, over the last seconds; null before the second look. */
  rates() {
    const [first, last] = [this.seen[0], this.seen.at(-1)];
    if (!last || first === last) return null;
    const elapsed = last.up - first.up;
    return Object.fromEntries(COUNTED.map((name) => [name, Math.max(0, last[name] - first[name]) / elapsed]));
  }
}

/** All replicas. */
export class Traffic {
  constructor() {
    this.replicas = new Map();
  }

  /** Take what the processes say. A process that is not among them is forgotten. */
  take(processes) {
    const there = new Map();
    for (const each of processes) {
      if (!each.traffic) continue;
      const replica = this.replicas.get(each.process) ?? new Replica();
      replica.take(each);
      there.set(each.process, replica);
    }
    this.replicas = there;
  }

  /** What one process answers a second; null where that is not known yet. */
  of(process) {
    return this.replicas.get(process)?.rates() ?? null;
  }

  /** What all of them answer a second; null where that is not known yet. */
  all() {
    const rates = [...this.replicas.values()].map((replica) => replica.rates()).filter(Boolean);
    return rates.length ? sum(rates) : null;
  }
}
