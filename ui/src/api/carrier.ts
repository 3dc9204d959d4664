// The one way to Tollgate: a command in the window, HTTP in a browser. Nobody else knows which.

import type { ErrorBody } from "./types";

/** What went wrong, where, and what to do. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly hint: string | null,
  ) {
    super(message);
  }
}

export const inWindow = "__TAURI_INTERNALS__" in window;

interface Answer {
  status: number;
  body: unknown;
}

async function byWindow(method: string, path: string, body: unknown): Promise<Answer> {
  const { invoke } = await import("@tauri-apps/api/core");
  return invoke<Answer>("ask", { method, path, body });
}

async function byHttp(method: string, path: string, body: unknown): Promise<Answer> {
  const init: RequestInit = { method, credentials: "same-origin" };
  if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers = { "content-type": "application/json" };
  }
  const answer = await fetch(path, init).catch(() => {
    throw new Problem(0, "unreachable", "Tollgate does not answer", "Start it again with `tollgate serve`.");
  });
  const text = await answer.text();
  return { status: answer.status, body: text === "" ? null : JSON.parse(text) };
}

/** Puts one question below `/api/v1/`. */
export async function ask<T>(method: string, path: string, body?: unknown): Promise<T> {
  const answer = await (inWindow ? byWindow : byHttp)(method, `/api/v1/${path}`, body);
  if (answer.status >= 200 && answer.status < 300) return answer.body as T;
  const { code, message, hint } = (answer.body as ErrorBody).error;
  throw new Problem(answer.status, code, message, hint ?? null);
}

/** Gives something up, also while the page goes away; nobody waits for the answer. */
export function part(path: string): void {
  const parted = inWindow
    ? ask("DELETE", path)
    : fetch(`/api/v1/${path}`, { method: "DELETE", credentials: "same-origin", keepalive: true });
  // It may be gone already, and what is not goes by itself.
  parted.catch(() => undefined);
}

/** Sends a call to the built-in demo provider, as any client would. */
export async function demoCall(): Promise<void> {
  if (inWindow) {
    await ask("POST", "demo-call");
    return;
  }
  const body = JSON.stringify({ model: "demo", messages: [{ role: "user", content: "What is a toll gate?" }] });
  const headers = { "content-type": "application/json" };
  const answer = await fetch("/demo/v1/chat/completions", { method: "POST", headers, body });
  if (!answer.ok) throw new Problem(answer.status, "upstream", "The demo did not answer", null);
}

/** Calls `changed` after the ledger did, and `live` with whether we would hear of it. */
export function listen(changed: () => void, live: (is: boolean) => void): void {
  if (inWindow) {
    void import("@tauri-apps/api/event").then(({ listen }) => listen("changed", changed)).then(() => live(true));
    return;
  }
  const events = new EventSource("/api/v1/events");
  events.onopen = () => live(true);
  events.onerror = () => live(false);
  events.addEventListener("changed", changed);
}
