// Pages of other origins in a real browser, whose user has Tollgate's own pages open: nothing
// reaches the provider, nothing can be read, no session goes along, nothing changes.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";
import { start } from "./gate.mjs";

const PROMPT = JSON.stringify({ model: "spent-by-a-page", messages: [] });
const PASS = JSON.stringify({ label: "made-by-a-page", scopes: ["call", "manage"] });

let gate, browser, context, evil, port, pass, settings;

before(async () => {
  gate = await start(() => ({ input: 1000, cached: 0, output: 10 }), 0, "[providers.ollama]\n");
  port = new URL(gate.origin).port;
  pass = gate.tollgate("passes", "add", "laptop").trim();
  await gate.call("the-users-own");
  evil = createServer((request, response) => {
    // A page that may do what it likes.
    response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><title>evil</title><body>");
  });
  evil.listen(0, "127.0.0.1");
  await once(evil, "listening");
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--host-resolver-rules=MAP *.test 127.0.0.1"],
  });
  context = await browser.newContext();
  const own = await context.newPage();
  await own.goto(gate.pages);
  await own.getByRole("heading", { name: "Activity" }).waitFor();
  const [session] = await context.cookies(gate.origin);
  assert.deepEqual([session.httpOnly, session.sameSite, session.path], [true, "Strict", "/"]);
  settings = owned();
});
after(async () => {
  await browser?.close();
  evil?.close();
  await gate?.stop();
});

/** What could have been changed. */
const owned = () => gate.tollgate("passes", "list", "--json").replace(/"last_used":[^,}]*/g, "") + gate.tollgate("keys", "--json");

const evilPort = () => evil.address().port;
/** Where attacks come from: another site, another port of this machine, and a name of one's own. */
const origins = () => [`http://evil.test:${evilPort()}`, `http://127.0.0.1:${evilPort()}`, `http://localhost:${evilPort()}`];

/** What `act` came to, and the cookies that each request to the gate carried meanwhile. */
async function during(page, act) {
  const sent = [];
  const session = await context.newCDPSession(page);
  await session.send("Network.enable");
  const first = new Promise((resolve) => {
    session.on("Network.requestWillBeSentExtraInfo", ({ associatedCookies, headers }) => {
      if (!(headers.Host ?? headers.host ?? "").endsWith(`:${port}`)) return;
      const carried = associatedCookies.filter(({ blockedReasons }) => blockedReasons.length === 0);
      sent.push(carried.map(({ cookie }) => cookie.name));
      resolve();
    });
  });
  const result = await act();
  await first;
  await session.detach();
  return { result, sent };
}

async function unharmed(what) {
  assert.deepEqual(gate.reached, ["POST /v1/chat/completions"], `${what}: something reached the provider`);
  assert.equal(owned(), settings, `${what}: something changed`);
}

const targets = () => ({
  spend: `${gate.origin}/openai/v1/chat/completions`,
  keyless: `${gate.origin}/ollama/api/tags`,
  inAddress: `${gate.origin}/v1beta/models?key=${pass}`,
  read: `${gate.origin}/api/v1/usage`,
  receipts: `${gate.origin}/api/v1/export?format=csv`,
  change: `${gate.origin}/api/v1/passes`,
  health: `${gate.origin}/healthz`,
  pages: `${gate.origin}/activity`,
});

test("a page's own calls are refused and cannot be read", async () => {
  for (const origin of origins()) {
    const page = await context.newPage();
    await page.goto(origin);
    const { result } = await during(page, () =>
      page.evaluate(async ([targets, prompt, made, pass]) => {
        const read = [];
        const attempt = async (what, url, init) => {
          try {
            const answer = await fetch(url, init);
            const text = answer.type === "opaque" ? "" : await answer.text();
            if (answer.type !== "opaque") read.push(`${what}: ${answer.status} ${text}`);
          } catch {
            // Refused, as it should be.
          }
        };
        for (const mode of ["cors", "no-cors"]) {
          for (const credentials of ["include", "omit"]) {
            const init = { mode, credentials };
            for (const [name, url] of Object.entries(targets)) await attempt(`${mode} ${name}`, url, init);
            for (const type of ["text/plain", "application/x-www-form-urlencoded"]) {
              const headers = { "content-type": type };
              await attempt("spend", targets.spend, { ...init, method: "POST", headers, body: prompt });
              await attempt("change", targets.change, { ...init, method: "POST", headers, body: made });
            }
            const headers = { "content-type": "application/json", authorization: `Bearer ${pass}` };
            await attempt("spend with the pass", targets.spend, { ...init, method: "POST", headers, body: prompt });
            await attempt("change with JSON", targets.change, { ...init, method: "POST", headers: { "content-type": "application/json" }, body: made });
            await attempt("delete", `${targets.change}/laptop`, { ...init, method: "DELETE" });
          }
        }
        navigator.sendBeacon(targets.spend, prompt);
        navigator.sendBeacon(targets.change, new Blob([made], { type: "text/plain" }));
        return read;
      }, [targets(), PROMPT, PASS, pass]),
    );
    assert.deepEqual(result, [], `a page of ${origin} read something`);
    await page.close();
    await unharmed(origin);
  }
});

test("forms of every kind are refused, and the session does not go along", async () => {
  for (const origin of origins().slice(0, 1)) {
    for (const enctype of ["application/x-www-form-urlencoded", "multipart/form-data", "text/plain"]) {
      for (const action of [targets().spend, targets().change, targets().keyless]) {
        const page = await context.newPage();
        await page.goto(origin);
        const { sent } = await during(page, async () => {
          const answered = page.waitForResponse((answer) => answer.url() === action);
          await page.evaluate(([action, enctype, made]) => {
            const form = Object.assign(document.createElement("form"), { method: "POST", action, enctype });
            form.append(Object.assign(document.createElement("input"), { name: made.slice(0, -1) + ',"x":"', value: '"}' }));
            document.body.append(form);
            form.submit();
          }, [action, enctype, PASS]);
          assert.equal((await answered).status(), 403, `${enctype} to ${action}`);
        });
        // What the browser asks for itself while it shows the refusal is no longer the page's.
        assert.deepEqual(sent[0], [], `${enctype} to ${action} carried ${sent[0]}`);
        await page.close();
      }
    }
    await unharmed(origin);
  }
});

test("nothing can be embedded, listened to or connected", async () => {
  for (const origin of origins()) {
    const page = await context.newPage();
    await page.goto(origin);
    const got = await page.evaluate(async ([targets, port]) => {
      const got = [];
      const settled = (element, url, name) =>
        new Promise((resolve) => {
          element.onload = () => resolve(name);
          element.onerror = () => resolve(null);
          element[element.tagName === "LINK" ? "href" : element.tagName === "OBJECT" ? "data" : "src"] = url;
          document.body.append(element);
          // An object that is refused says nothing.
          if (element.tagName === "OBJECT") setTimeout(resolve, 500, null);
        });
      for (const [name, url] of Object.entries(targets)) {
        got.push(await settled(new Image(), url, `image ${name}`));
        got.push(await settled(document.createElement("script"), url, `script ${name}`));
        got.push(await settled(Object.assign(document.createElement("link"), { rel: "stylesheet" }), url, `style ${name}`));
        got.push(await settled(document.createElement("object"), url, `object ${name}`));
      }
      for (const url of [targets.read, targets.pages, targets.keyless]) {
        const frame = document.createElement("iframe");
        await settled(frame, url, "");
        try {
          // Readable only if it is blank.
          if ((frame.contentDocument?.body?.innerText ?? "") !== "") got.push(`frame ${url}`);
        } catch {
          // Another origin's, as it should be.
        }
      }
      for (const path of ["/openai/v1/responses", "/api/v1/events", "/"]) {
        got.push(await new Promise((resolve) => {
          const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`);
          socket.onopen = () => resolve(`socket ${path}`);
          socket.onerror = () => resolve(null);
        }));
      }
      got.push(await new Promise((resolve) => {
        const events = new EventSource(targets.read.replace("usage", "events"), { withCredentials: true });
        events.onopen = () => resolve("events");
        events.onerror = () => resolve(null);
      }));
      return got.filter((one) => one);
    }, [targets(), port]);
    assert.deepEqual(got, [], `a page of ${origin} could use something`);
    await page.close();
    await unharmed(origin);
  }
});

test("a link leads to the pages only, without the session", async () => {
  for (const [name, url] of Object.entries(targets())) {
    const page = await context.newPage();
    await page.goto(origins()[0]);
    const { result: answer, sent } = await during(page, async () => {
      const answered = page.waitForResponse((answer) => answer.url() === url);
      await page.evaluate((url) => location.assign(url), url);
      return answered;
    });
    const isOpen = name === "pages" || name === "health";
    assert.equal(answer.status(), isOpen ? 200 : 403, name);
    assert.deepEqual(sent[0], [], `${name} carried ${sent[0]}`);
    await page.close();
  }
  // A window that a page opened is nobody it could look into.
  const page = await context.newPage();
  await page.goto(origins()[1]);
  const [opened] = await Promise.all([context.waitForEvent("page"), page.evaluate((url) => void (window.other = window.open(url)), targets().pages)]);
  await opened.waitForLoadState();
  const seen = await page.evaluate(() => {
    try {
      return window.other.closed ? "closed" : window.other.document.title;
    } catch {
      return "out of reach";
    }
  });
  assert.ok(["closed", "out of reach"].includes(seen), seen);
  await opened.close();
  await page.close();
  await unharmed("links");
});

test("a name that was pointed at this machine shows and does nothing", async () => {
  for (const name of ["rebound.test", "127.0.0.1.rebound.test"]) {
    const origin = `http://${name}:${port}`;
    const page = await context.newPage();
    const { result: answer, sent } = await during(page, () => page.goto(`${origin}/activity`));
    assert.equal(answer.status(), 403);
    assert.doesNotMatch(await page.content(), /laptop|the-users-own|<script/);
    // The browser takes the page for one of that origin: now it may send what it likes.
    const read = await page.evaluate(async ([prompt, made, pass]) => {
      const bearer = { "content-type": "application/json", authorization: `Bearer ${pass}` };
      const statuses = [];
      for (const [path, init] of [
        ["/openai/v1/chat/completions", { method: "POST", headers: bearer, body: prompt }],
        ["/ollama/api/tags", {}],
        ["/api/v1/usage", { headers: bearer }],
        ["/api/v1/passes", { method: "POST", headers: bearer, body: made }],
        ["/api/v1/events", {}],
        ["/healthz", {}],
        ["/", {}],
      ]) statuses.push((await fetch(path, init)).status);
      return statuses;
    }, [PROMPT, PASS, pass]);
    assert.deepEqual(new Set(read), new Set([403]));
    assert.ok(sent.every((names) => names.length === 0));
    await page.close();
  }
  await unharmed("rebinding");
});

test("what a provider answers does not run as a page of ours", async () => {
  const page = await context.newPage();
  const answer = await page.goto(targets().keyless);
  assert.equal(answer.status(), 403, "typed by the user himself");
  await page.goto(targets().pages);
  await page.getByRole("heading", { name: "Activity" }).waitFor();
  const framed = await page.evaluate(async (url) => {
    const frame = document.createElement("iframe");
    frame.src = url;
    document.body.append(frame);
    await new Promise((resolve) => (frame.onload = resolve));
    try {
      return frame.contentDocument?.body?.innerText ?? "";
    } catch {
      return "";
    }
  }, targets().keyless);
  assert.equal(framed, "");
  await page.close();
  await unharmed("documents");
});
