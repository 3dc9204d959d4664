// Budgets on the page: one is written, fills up, denies, is released, edited, switched off and deleted.
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
  // gpt-4o: $2.50 and $10 a million tokens, so $0.0035 a call.
  gate = await start(() => ({ input: 1000, cached: 0, output: 100 }));
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, timezoneId: "Europe/Berlin" });
  page = await context.newPage();
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("dialog", (dialog) => void dialog.accept());
  await page.goto(gate.pages);
  await page.getByRole("link", { name: "Budgets", exact: true }).click();
});
after(async () => {
  await browser?.close();
  await gate?.stop();
});

const listed = () => gate.tollgate("budgets", "--json").trim().split("\n").filter(Boolean).map((line) => JSON.parse(line));
const card = () => page.getByRole("list", { name: "Budgets" }).getByRole("listitem");
const shot = (name) => (process.env.SHOTS ? page.screenshot({ path: `${process.env.SHOTS}/${name}.png`, fullPage: true }) : undefined);

test("without a budget the page says what one is for", async () => {
  await page.getByText("Nothing limits what calls may spend.").waitFor();
  await shot("budgets-first");
});

test("a budget is written as a sentence, and a wrong one is refused by its field", async () => {
  await page.getByRole("button", { name: "Write the first one" }).click();
  const form = page.getByRole("form", { name: "New budget" });
  await form.getByLabel("Name").fill(MARKUP);
  await form.getByLabel("Dollars").fill("much");
  await form.getByLabel("Period").selectOption("month");
  await form.getByRole("button", { name: "Only some" }).click();
  await form.getByLabel("Scope 1", { exact: true }).selectOption("model");
  await form.getByLabel("Value of scope 1").fill("gpt-4o*");
  await form.getByLabel("Then").selectOption("ask");
  await form.getByRole("button", { name: "Keep to it" }).click();
  await form.getByRole("alert").getByText("`spend` cannot be `much`").waitFor();
  assert.equal(await form.getByLabel("Dollars").getAttribute("aria-invalid"), "true");
  await form.getByLabel("Dollars").fill("0.005");
  await form.getByRole("button", { name: "Keep to it" }).click();
  await card().getByText("$0.0050 a month, model gpt-4o*; then deny calls until released").waitFor();
  assert.deepEqual(listed()[0].budget.only, { model: ["gpt-4o*"] });
  assert.equal(await page.title(), "Tollgate");
});

test("it fills up while calls flow, denies, says so on every page, and is released", async () => {
  assert.equal((await gate.call("gpt-4o")).status, "succeeded");
  await card().getByText("$0.0035 of $0.0050 (70 %)").waitFor();
  assert.equal((await gate.call("gpt-4o")).status, "succeeded");
  await card().getByText("Denies calls").waitFor();
  const refused = await gate.call("gpt-4o");
  assert.deepEqual([refused.status, refused.error_type], ["denied", "budget_reached"]);
  await card().getByText("1 call denied").waitFor();
  await page.getByRole("link", { name: "Budgets, 1 budget denies calls" }).waitFor();
  await shot("budgets-denies");
  await card().getByRole("button", { name: /^Release until / }).click();
  await card().getByText("Released until").waitFor();
  assert.equal((await gate.call("gpt-4o")).status, "succeeded");
  await card().getByRole("button", { name: "Count again" }).click();
  await card().getByText("Denies calls").waitFor();
  await card().getByRole("link", { name: "Requests" }).click();
  await page.waitForURL(/\/requests\?from=/);
  await page.getByRole("link", { name: "Budgets, 1 budget denies calls" }).click();
});

for (const theme of ["light", "dark"]) {
  test(`the page breaks no rule of accessibility while one is edited, ${theme}`, async () => {
    await page.emulateMedia({ colorScheme: theme });
    await card().getByRole("button", { name: `Edit ${MARKUP}` }).click();
    await page.addScriptTag({ content: AXE }).catch(() => page.evaluate(AXE));
    const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
    assert.deepEqual(violations.map((one) => [one.id, one.nodes.map((node) => node.target.join())]), []);
    await shot(`budgets-${theme}`);
    await card().getByRole("button", { name: "Cancel" }).click();
  });
}

test("it is edited by keyboard, switched off and deleted; a narrow screen holds it", async () => {
  await card().getByRole("button", { name: `Edit ${MARKUP}` }).press("Enter");
  const form = page.getByRole("form", { name: `Edit ${MARKUP}` });
  await form.getByLabel("Name").fill("all of it");
  await form.getByLabel("Dollars").fill("9");
  await form.getByLabel("Dollars").press("Enter");
  await card().getByText("$9.00 a month").waitFor();
  assert.equal((await gate.call("gpt-4o")).status, "succeeded");
  await page.setViewportSize({ width: 360, height: 740 });
  await shot("budgets-narrow");
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
  await page.setViewportSize({ width: 1440, height: 900 });
  await card().getByRole("switch").uncheck();
  await card().getByText("Off").waitFor();
  await card().getByRole("button", { name: "Delete all of it" }).click();
  await page.getByText("Nothing limits what calls may spend.").waitFor();
  assert.deepEqual(listed(), []);
  assert.deepEqual(errors, []);
});
