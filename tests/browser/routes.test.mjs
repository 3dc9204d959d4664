// Routes on the page: one is written, refused, shows its targets, is edited, switched off and deleted.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { chromium } from "playwright-core";
import { start } from "./gate.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

let gate, browser, page;
const errors = [];

before(async () => {
  gate = await start(() => ({ input: 1000, cached: 0, output: 100 }));
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, timezoneId: "Europe/Berlin" });
  page = await context.newPage();
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("dialog", (dialog) => void dialog.accept());
  await page.goto(gate.pages);
  await page.getByRole("link", { name: "Routes", exact: true }).click();
});
after(async () => {
  await browser?.close();
  await gate?.stop();
});

const listed = () => gate.tollgate("routes", "--json").trim().split("\n").filter(Boolean).map((line) => JSON.parse(line));
const shot = (name) => (process.env.SHOTS ? page.screenshot({ path: `${process.env.SHOTS}/${name}.png`, fullPage: true }) : undefined);

test("without a route the page says what one is for, and a wrong one is refused by its field", async () => {
  await page.getByText("Every call goes where its client sends it.").waitFor();
  await shot("routes-first");
  await page.getByRole("button", { name: "Write the first one" }).click();
  const form = page.getByRole("form", { name: "New route" });
  await form.getByLabel("Name").fill("fast");
  await form.getByLabel("Target 1", { exact: true }).fill("route/other");
  await form.getByRole("button", { name: "Answer to it" }).click();
  await form.getByRole("alert").getByText("a route cannot lead to a route").waitFor();
  assert.equal(await form.getByLabel("Target 1", { exact: true }).getAttribute("aria-invalid"), "true");
  await form.getByLabel("Target 1", { exact: true }).fill("openai/gpt-4o");
  await form.getByLabel("Target 2", { exact: true }).fill("ollama/llama3");
  await form.getByLabel("Prefer").selectOption("cost");
  await shot("routes-form");
  await form.getByRole("button", { name: "Answer to it" }).click();
  await page.getByText("Ask for the model route/fast: 2 targets by cost.").waitFor();
  assert.deepEqual(listed()[0].route.targets, ["openai/gpt-4o", "ollama/llama3"]);
});

test("targets stand in the order in which they would be called, with what stands against them", async () => {
  const targets = page.getByRole("list", { name: "Targets of fast, the next one first" }).getByRole("listitem");
  await targets.first().getByText("ollama/llama3").waitFor();
  await targets.nth(1).getByText("tollgate keys add openai").waitFor();
  await shot("routes");
  await page.evaluate(AXE);
  const found = await page.evaluate(() => globalThis.axe.run());
  assert.deepEqual(found.violations.map((one) => [one.id, one.nodes.map((node) => node.html)]), []);
});

test("it is switched off, edited and deleted", async () => {
  await page.getByRole("switch", { name: "Answer fast" }).click();
  await page.getByText("“fast” is off.").waitFor();
  assert.equal(listed()[0].route.enabled, false);
  await page.getByRole("button", { name: "Edit fast" }).click();
  const form = page.getByRole("form", { name: "Edit fast" });
  await form.getByRole("button", { name: "Target 2 up" }).click();
  await form.getByRole("button", { name: "Save" }).click();
  await page.getByText("Ask for the model route/fast").waitFor();
  assert.deepEqual(listed()[0].route.targets, ["ollama/llama3", "openai/gpt-4o"]);
  await page.getByRole("button", { name: "Delete fast" }).click();
  await page.getByText("“fast” is deleted.").waitFor();
  assert.deepEqual(listed(), []);
  assert.deepEqual(errors, []);
});
