// A real Tollgate on a home of its own, and an upstream whose usage the test decides.
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { once } from "node:events";

const target = process.env.CARGO_TARGET_DIR ?? resolve(import.meta.dirname, "../../target");
const binary = process.env.TOLLGATE_BIN ?? join(target, "debug/tollgate");

/** Answers every chat with the model that was asked for and `usage.next()`. */
async function upstream(usage) {
  const seen = [];
  const server = createServer(async (request, response) => {
    seen.push(`${request.method} ${request.url}`);
    let text = "";
    for await (const piece of request) text += piece;
    // What tests a key: the list of models, for the one key that is known here.
    if (request.method === "GET") {
      const knows = request.headers.authorization === "Bearer sk-planted-in-the-page";
      const list = knows ? { object: "list", data: [] } : { error: { message: "Incorrect API key provided" } };
      return response.writeHead(knows ? 200 : 401, { "content-type": "application/json" }).end(JSON.stringify(list));
    }
    const { model } = JSON.parse(text);
    const { status = 200, headers = {}, input, cached, output } = usage(model);
    const body =
      status === 200
        ? { id: "c", object: "chat.completion", model, choices: [{ index: 0, message: { role: "assistant", content: "." }, finish_reason: "stop" }], usage: { prompt_tokens: input, completion_tokens: output, total_tokens: input + output, prompt_tokens_details: { cached_tokens: cached } } }
        : { error: { type: "server_error", message: "planned by the test" } };
    response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(body));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { origin: `http://127.0.0.1:${server.address().port}`, seen, close: () => server.close() };
}

/**
 * `receipts`: how many of a heavy user's year are in the ledger already. `more` providers, such
 * as `[providers.ollama]`, are the same upstream;
 * `rest` ends `config.toml`, `top` begins it.
 */
export async function start(usage, receipts = 0, more = "", rest = "", top = "") {
  const above = await upstream(usage);
  const home = mkdtempSync(join(tmpdir(), "tollgate-browser-"));
  if (receipts > 0) execFileSync(join(target, "debug/ledger"), [home, "--receipts", String(receipts)]);
  const base = `base_url = "${above.origin}"\n`;
  writeFileSync(join(home, "config.toml"), `${top}[providers.openai]\n${base}${more && more + base}${rest}`);
  // No test reaches the keychain of whoever runs it.
  const { DBUS_SESSION_BUS_ADDRESS: _, ...outside } = process.env;
  const env = { ...outside, XDG_RUNTIME_DIR: home, TOLLGATE_HOME: home, TZ: "Europe/Berlin" };
  const process_ = spawn(binary, ["serve", "--listen", "127.0.0.1:0"], { env, stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  for await (const piece of process_.stdout) {
    said += piece;
    if (said.includes("requests --demo")) break;
  }
  const origin = /gateway +(http\S+)/.exec(said)[1];
  const pages = /pages +(http\S+)/.exec(said)[1];
  const tollgate = (...args) => execFileSync(binary, args, { env, encoding: "utf8", maxBuffer: 1 << 28 });
  return {
    origin,
    pages,
    /** Methods and paths that reached the upstream. */
    reached: above.seen,
    tollgate,
    usage: (...args) => JSON.parse(tollgate("usage", "--json", ...args)),
    /** Sends one chat and waits until its receipt is in the ledger. */
    async call(model, path = "/v1/chat/completions") {
      const body = JSON.stringify({ model, messages: [{ role: "user", content: "a planted prompt" }] });
      const headers = { authorization: "Bearer sk-planted", "content-type": "application/json" };
      const answer = await fetch(origin + path, { method: "POST", headers, body });
      await answer.text();
      const id = answer.headers.get("x-tollgate-receipt");
      for (;;) {
        try {
          return JSON.parse(tollgate("show", id, "--json"));
        } catch {
          // Not written yet.
        }
      }
    },
    async stop() {
      process_.kill("SIGTERM");
      await once(process_, "exit");
      above.close();
      rmSync(home, { recursive: true });
    },
  };
}
