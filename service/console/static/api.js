// Asking this server. The key is held here, in the tab's own storage, and goes nowhere but into the X-API-Key header.

const ROOT = new URL("../api/v1/", import.meta.url);
const KEPT = "anomaly-cache key";

/** What the server refused, or that it did not answer (`status` 0). */
export class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }

  /** Whether another key is needed. */
  get unwelcome() {
    return this.status === 401 || this.status === 403;
  }
}

export class Api {
  get key() {
    return sessionStorage.getItem(KEPT);
  }

  set key(value) {
    if (value === null) sessionStorage.removeItem(KEPT);
    else sessionStorage.setItem(KEPT, value);
  }

  /** Return the response to a request below /api/v1/. Throws Refusal for any that is not a success. */
  async ask(path, { method = "GET", body, signal } = {}) {
    const headers = { "X-API-Key": this.key ?? "" };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const options = { method, headers, signal, cache: "no-store", credentials: "omit", redirect: "error" };
    if (body !== undefined) options.body = JSON.stringify(body);
    let response;
    try {
      response = await fetch(new URL(path, ROOT), options);
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Refusal(0, "The server does not answer.");
    }
    if (response.ok) return response;
    const problem = await response.json().catch(() => ({}));
    throw new Refusal(response.status, problem.detail ?? `The server answered ${response.status}.`);
  }

  /** Return the parsed JSON of a GET. */
  async get(path) {
    return (await this.ask(path)).json();
  }
}
