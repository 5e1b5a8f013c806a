// The stream of server-sent events, read with fetch: an EventSource cannot send the key in a header.

import { Refusal } from "./api.js";

const SILENCE_MS = 6000; // The server says something every second.
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 8000;

/** Yield {event, data} for each event of a response's body. */
async function* events(response, heard) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    // A connection that is lost, or given up for its silence, ends the stream.
    const { value, done } = await reader.read().catch(() => ({ done: true }));
    if (done) return;
    heard();
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const fields = Object.fromEntries(block.split("\n").map((line) => line.split(/: (.*)/s)));
      if (fields.event) yield { event: fields.event, data: JSON.parse(fields.data) };
    }
  }
}

/** Wait, or less where `signal` is aborted meanwhile. */
const pause = (milliseconds, signal) =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });

/**
 * Follow the stream until `signal` is aborted; connect again, ever more patiently, whenever it is lost or silent.
 * `on` has handlers: one by the name of each event, connected(), and lost(reason, milliseconds until the next try).
 * Throws the Refusal of a key that will not do.
 */
export async function follow(api, on, signal) {
  let tries = 0;
  while (!signal.aborted) {
    const connection = new AbortController();
    const stop = () => connection.abort();
    signal.addEventListener("abort", stop);
    let silence;
    const heard = () => {
      clearTimeout(silence);
      silence = setTimeout(stop, SILENCE_MS);
    };
    let reason = "the connection ended";
    try {
      heard();
      const response = await api.ask("console/events", { signal: connection.signal });
      on.connected();
      for await (const { event, data } of events(response, heard)) {
        tries = 0;
        on[event]?.(data);
      }
    } catch (error) {
      if (error instanceof Refusal && error.unwelcome) throw error;
      if (error instanceof Refusal) reason = error.message;
      else if (error.name !== "AbortError") throw error;
    } finally {
      clearTimeout(silence);
      signal.removeEventListener("abort", stop);
      connection.abort();
    }
    if (signal.aborted) return;
    const wait = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** tries) * (0.75 + Math.random() / 2);
    tries += 1;
    on.lost(reason, wait);
    await pause(wait, signal);
  }
}
