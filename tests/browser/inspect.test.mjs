// Looking inside the calls of a pass: shown live with a plain notice, gone when closed.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { chromium } from "playwright-core";
import { start } from "./gate.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const MARKUP = `PLANTED <img src=x onerror="document.title='owned'">`;

let gate, browser, page, pass;
const errors = [];

before(async () => {
  gate = await start(() => ({ input: 1000, cached: 0, output: 100 }));
  pass = gate.tollgate("passes", "add", "laptop").trim();
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
  page = await (await browser.newContext({ viewport: { width: 1440, height: 900 } })).newPage();
  page.on("pageerror", (error) => errors.push(error.message));
  await page.goto(gate.pages);
  await page.getByRole("heading", { name: "Activity" }).waitFor();
  await page.goto(`${gate.origin}/providers?range=all&by=pass`);
});
after(async () => {
  await browser?.close();
  await gate?.stop();
});

const shot = (name) => (process.env.SHOTS ? page.screenshot({ path: `${process.env.SHOTS}/${name}.png`, fullPage: true }) : undefined);
const call = (text) =>
  fetch(`${gate.origin}/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: "Bearer sk-planted-own-key", "x-api-key": pass, "content-type": "application/json" },
    body: JSON.stringify({ model: "gpt-5.1", messages: [{ role: "user", content: text }] }),
  }).then((answer) => answer.text());
const inside = () => page.getByRole("group", { name: "Inside the calls of laptop" });
const isOpen = () => page.evaluate(() => fetch("/api/v1/inspector/laptop").then((answer) => answer.ok));

test("a call appears with its content, and nothing of it is obeyed", async () => {
  await call("before anybody looked");
  await page.getByRole("button", { name: "Look inside laptop" }).click();
  await inside().getByText("Content is shown here").waitFor();
  await inside().getByText("Waiting for the next call").waitFor();
  await call(MARKUP);
  const listed = inside().getByRole("list", { name: "Calls" }).getByRole("button");
  await listed.first().waitFor();
  assert.equal(await listed.count(), 1, "only what came since");
  await listed.first().click();
  const request = inside().getByLabel("Request of the call");
  await request.waitFor();
  assert.ok((await request.textContent()).includes("PLANTED <img src=x"), "as it is");
  assert.ok((await inside().getByLabel("Answer of the call").textContent()).includes("choices"));
  assert.equal(await inside().locator("img").count(), 0);
  await inside().getByText("headers").first().click();
  const all = await inside().textContent();
  for (const secret of [pass, "sk-planted-own-key"]) assert.ok(!all.includes(secret), "no credential");
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => axe.run());
  assert.deepEqual(violations.map((one) => `${one.id} ${one.nodes.map((node) => node.html.slice(0, 200)).join(" | ")}`), []);
  await shot("inspector");
});

test("closing it forgets all, and so does leaving the page", async () => {
  assert.ok(await isOpen());
  await inside().getByRole("button", { name: "Close and forget" }).click();
  await inside().waitFor({ state: "detached" });
  await page.waitForFunction(() => fetch("/api/v1/inspector/laptop").then((answer) => answer.status === 404));
  await page.getByRole("button", { name: "Look inside laptop" }).click();
  await inside().getByText("Waiting for the next call").waitFor();
  await page.goto(`${gate.origin}/settings`);
  await page.waitForFunction(() => fetch("/api/v1/inspector/laptop").then((answer) => answer.status === 404));
  assert.deepEqual(errors, []);
});
