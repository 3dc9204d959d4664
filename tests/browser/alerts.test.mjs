// Alerts on the page: a rule is added, edited, snoozed, switched off and deleted, and one that fires says so.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { chromium } from "playwright-core";
import { start } from "./gate.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const MARKUP = `<img src=x onerror="document.title='owned'">'&/?#%`;

let gate, browser, page;
const errors = [];

before(async () => {
  gate = await start((model) => (model === "broken-model" ? { status: 429 } : { input: 1000, cached: 0, output: 100 }));
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, timezoneId: "Europe/Berlin" });
  page = await context.newPage();
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("dialog", (dialog) => void dialog.accept());
  await page.goto(gate.pages);
  await page.getByRole("link", { name: "Alerts", exact: true }).click();
  await page.getByRole("heading", { name: "Rules" }).waitFor();
});
after(async () => {
  await browser?.close();
  await gate?.stop();
});

const rules = () => page.getByRole("region", { name: "Rules" });
const listed = () => gate.tollgate("alerts", "list", "--json").trim().split("\n").map((line) => JSON.parse(line));
const named = (name) => listed().find((one) => one.rule.name === name);
const shot = (name) => (process.env.SHOTS ? page.screenshot({ path: `${process.env.SHOTS}/${name}.png`, fullPage: true }) : undefined);

test("what is watched from the first run on stands there, and nothing is across its line", async () => {
  await rules().getByText("more than $20.00 a day").waitFor();
  await page.getByText("Nothing is across its line.").waitFor();
  await page.getByText("Nothing happened yet.").waitFor();
  await shot("alerts-first");
});

test("a rule is written as a sentence, and a wrong one is refused by its field", async () => {
  await page.getByRole("button", { name: "New rule" }).click();
  const form = page.getByRole("form", { name: "New rule" });
  await form.getByLabel("Name").fill(MARKUP);
  await form.getByLabel("What").selectOption("rate_limited_above");
  await form.getByLabel("calls", { exact: true }).fill("-3");
  await form.getByRole("button", { name: "Watch it" }).click();
  await form.getByRole("alert").getByText("`rate_limited_above` cannot be -3").waitFor();
  assert.equal(await form.getByLabel("calls", { exact: true }).getAttribute("aria-invalid"), "true");
  await shot("alerts-refused");
  await form.getByLabel("calls", { exact: true }).fill("2");
  await form.getByLabel("within").fill("1h");
  await form.getByRole("button", { name: "Only some" }).click();
  await form.getByLabel("Value of filter 1").fill("broken-model");
  await form.getByRole("button", { name: "Watch it" }).click();
  await rules().getByText("more than 2 calls are answered 429 within 1h, model broken-model").waitFor();
  assert.deepEqual(named(MARKUP).rule.only, { model: ["broken-model"] });
  assert.equal(await page.title(), "Tollgate");
});

test("a rule that fires says so on every page, once, and leads to its requests", async () => {
  for (let call = 0; call < 3; call += 1) await gate.call("broken-model");
  const card = page.getByRole("region", { name: "Active alerts" }).getByRole("listitem");
  await card.getByText("3 requests were answered 429 within 1h, over the line of 2.").waitFor();
  await page.getByRole("link", { name: "Alerts, 1 alert is active" }).waitFor();
  await shot("alerts-active");
  await card.getByRole("link", { name: "Requests of that time" }).click();
  await page.waitForURL(/\/activity\?from=.*status=429&model=broken-model/);
  await page.locator("main a", { hasText: "Requests" }).first().getByText("3", { exact: true }).waitFor();
  await page.getByRole("link", { name: "Alerts, 1 alert is active" }).click();
  const history = page.getByRole("region", { name: "History" });
  await history.getByText("Answered 429: 3, line 2").waitFor();
  assert.equal(await history.getByText("Began").count(), 1);
});

for (const theme of ["light", "dark"]) {
  test(`the page breaks no rule of accessibility while a rule fires and one is edited, ${theme}`, async () => {
    await page.emulateMedia({ colorScheme: theme });
    await rules().getByRole("button", { name: "Edit Daily spend" }).click();
    await page.getByRole("form", { name: "Edit Daily spend" }).waitFor();
    await page.evaluate(AXE);
    const { violations } = await page.evaluate(() => axe.run());
    assert.deepEqual(violations.map((one) => `${one.id} ${one.help} ${one.nodes.slice(0, 3).map((node) => node.html.slice(0, 200)).join(" | ")}`), []);
    await shot(`alerts-edit-${theme}`);
    for (const width of [360, 820]) {
      await page.setViewportSize({ width, height: 740 });
      const wide = await page.evaluate(() => [document.documentElement, document.querySelector("main")].map((one) => one.scrollWidth - one.clientWidth));
      assert.deepEqual(wide, [0, 0], `at ${width} px`);
      await shot(`alerts-${width}-${theme}`);
    }
    await page.setViewportSize({ width: 1440, height: 900 });
    await page.getByRole("button", { name: "Cancel" }).click();
  });
}

test("a rule is edited, and its own words stay in config.toml", async () => {
  await rules().getByRole("button", { name: "Edit Daily spend" }).click();
  const form = page.getByRole("form", { name: "Edit Daily spend" });
  await form.getByLabel("Dollars").fill("35.50");
  await form.getByLabel("in one").selectOption("week");
  await form.getByRole("button", { name: "Save" }).click();
  await rules().getByText("more than $35.50 a week").waitFor();
  assert.equal(named("Daily spend").watches, "more than $35.50 a week");
});

test("snooze, switch and pause quieten, and are undone", async () => {
  await page.getByRole("region", { name: "Rules" }).getByLabel(`Snooze ${MARKUP}`).selectOption("tomorrow");
  await page.getByText(/disturbs nobody until/).waitFor();
  assert.equal(named(MARKUP).state, "snoozed");
  await page.getByRole("link", { name: "Alerts", exact: true }).waitFor();
  await rules().getByRole("button", { name: `Wake ${MARKUP}` }).click();
  await page.getByText(/may disturb again/).first().waitFor();
  await rules().getByLabel("Watch Errors").uncheck();
  await page.getByText("“Errors” is off.").waitFor();
  assert.equal(named("Errors").state, "off");
  await rules().getByLabel("Watch Errors").check();
  await page.getByText("“Errors” is watched.").waitFor();
  assert.equal(named("Errors").state, "fine");
  await page.getByLabel("Pause all").selectOption("resumed");
  await page.getByText("Paused until resumed").waitFor();
  await shot("alerts-paused");
  await page.getByRole("button", { name: "Resume" }).click();
  await page.getByLabel("Pause all").waitFor();
});

test("quiet hours are kept and taken back", async () => {
  const form = page.getByRole("form", { name: "Quiet hours" });
  await form.getByLabel("Quiet from").fill("22:00");
  await form.getByLabel("to", { exact: true }).fill("07:00");
  await form.getByRole("button", { name: "Keep" }).click();
  await form.getByRole("button", { name: "No quiet hours" }).waitFor();
  await form.getByRole("button", { name: "No quiet hours" }).click();
  await page.getByText("Alerts may disturb at any hour.").waitFor();
});

test("a deleted rule is gone and its history stays", async () => {
  await rules().getByRole("button", { name: `Delete ${MARKUP}` }).click();
  await page.getByText("Nothing is across its line.").waitFor();
  assert.equal(named(MARKUP), undefined);
  await page.getByRole("region", { name: "History" }).getByText("The rule was removed.").waitFor();
  for (const name of ["Daily spend", "Errors"]) await rules().getByRole("button", { name: `Delete ${name}` }).click();
  await rules().getByRole("button", { name: "Write the first one" }).waitFor();
  await shot("alerts-none");
  assert.equal(gate.tollgate("alerts", "list", "--json"), "");
  assert.deepEqual(errors, []);
});
