// How fast calls are, what they exercised, and whether promises were kept: Performance, Models and Alerts.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { chromium } from "playwright-core";
import { start } from "./gate.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
let gate, browser, page;
const errors = [];

const TOOLS = [{ type: "function", function: { name: "f", parameters: { type: "object", properties: {} } } }];
const PICTURE = [{ role: "user", content: [{ type: "image_url", image_url: { url: "data:image/png;base64,AAAA" } }] }];

/** Sends one chat of a sort and waits until its receipt is in the ledger. */
async function call(model, more) {
  const body = JSON.stringify({ model, messages: [{ role: "user", content: "a planted prompt" }], ...more });
  const headers = { authorization: "Bearer sk-planted", "content-type": "application/json", "x-tollgate-tag-workflow": more.tools ? "agent" : "chat" };
  const answer = await fetch(gate.origin + "/v1/chat/completions", { method: "POST", headers, body });
  await answer.text();
  const id = answer.headers.get("x-tollgate-receipt");
  for (;;) {
    try {
      return JSON.parse(gate.tollgate("show", id, "--json"));
    } catch {
      // Not written yet.
    }
  }
}

before(async () => {
  gate = await start((model) => (model === "broken" ? { status: 500 } : { input: 1000, cached: 0, output: 100 }));
  // Two with tools, one of them with a picture too; one picture; one plain; one that fails.
  await call("gpt-4o", { tools: TOOLS });
  await call("gpt-4o", { tools: TOOLS, messages: PICTURE });
  await call("gpt-4o", { messages: PICTURE });
  await call("gpt-4o", {});
  await call("broken", {});
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, timezoneId: "Europe/Berlin" });
  page = await context.newPage();
  page.on("pageerror", (error) => errors.push(error.message));
  await page.goto(gate.pages);
  await page.getByRole("heading", { name: "Activity" }).waitFor();
});
after(async () => {
  await browser?.close();
  await gate?.stop();
});

const open = async (path) => {
  await page.goto(gate.origin + path);
  await page.locator("main").waitFor();
  await page.waitForFunction(() => !document.querySelector("[aria-busy=true]"));
};
const shot = (name) => (process.env.SHOTS ? page.screenshot({ path: `${process.env.SHOTS}/${name}.png`, fullPage: true }) : undefined);
const row = (name) => page.getByRole("row").filter({ has: page.getByText(name, { exact: true }) });
const cells = async (name) => (await row(name).getByRole("cell").allInnerTexts()).map((text) => text.trim()).filter((text) => text !== "");
const by = () => page.locator("label").filter({ hasText: /^by\s/ }).getByRole("combobox");

test("each capability has its row, a call with two is in both, and the page says that rows overlap", async () => {
  await open("/models?by=capability&range=all");
  assert.match((await cells("tools")).join(" "), /^tools \$0\.0070 2 /);
  assert.match((await cells("vision")).join(" "), /^vision \$0\.0070 2 /);
  assert.match((await cells("no capability")).join(" "), /^no capability \$0\.0035 2 /);
  await page.getByText("5 requests of 3 capabilities").waitFor();
  await page.getByText("rows overlap and come to more than the total").waitFor();
  await shot("models-capability");
  await by().selectOption("technology");
  await row("vlm").waitFor();
  assert.match((await cells("vlm")).join(" "), /^vlm \$0\.0070 2 /);
  assert.match((await cells("llm")).join(" "), /^llm \$0\.0070 3 /);
  const shown = gate.usage("--by", "technology").rows.map((one) => [one.name, one.requests, one.cost]);
  assert.deepEqual(shown.sort(), [["llm", 3, "0.007"], ["vlm", 2, "0.007"]]);
});

test("the log shows what a call exercised, and can be asked for it", async () => {
  await open("/requests?range=all&capability=vision&technology=vlm");
  await page.getByText("gpt-4o").first().waitFor();
  assert.equal(gate.tollgate("requests", "--capability", "vision", "--json").trim().split("\n").length, 2);
  await page.getByRole("button", { name: "Remove the filter Capability" }).click();
  await page.waitForURL((url) => !url.searchParams.has("capability"));
});

test("rates, peaks and percentiles are those of the command line", async () => {
  await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "Performance" }).click();
  await open("/performance?range=all&by=tag%3Aworkflow");
  const told = JSON.parse(gate.tollgate("performance", "--by", "tag:workflow", "--json"));
  assert.deepEqual(told.rows.map((one) => [one.name, one.requests]), [["chat", 3], ["agent", 2]]);
  assert.ok(told.latency.reduce((sum, slice) => sum + slice.requests, 0) === 5);
  assert.ok(told.overhead.reduce((sum, slice) => sum + slice.requests, 0) === 5);
  const agent = await cells("agent");
  assert.equal(agent[2], "2");
  const p99 = told.rows.find((one) => one.name === "agent").latency.p99_ms;
  assert.ok(agent.includes(`${p99} ms`), `${agent} ${p99}`);
  const peak = told.rates.peak_requests_per_minute;
  const busiest = page.getByRole("link", { name: "Busiest minute" });
  assert.match(await busiest.innerText(), new RegExp(`\\b${peak.count}\\b`));
  assert.equal(peak.exact, true);
  await shot("performance");
});

test("a distribution can be read as a table, by keyboard", async () => {
  const latency = page.getByRole("region", { name: "Latency" });
  await latency.getByText("As a table").focus();
  await page.keyboard.press("Enter");
  await latency.getByRole("columnheader", { name: "Share" }).waitFor();
  await by().focus();
  await page.keyboard.press("Home");
  await page.waitForURL(/by=provider/);
  await row("openai").waitFor();
});

test("a service level is written, broken and shown day by day", async () => {
  await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: /^Alerts/ }).click();
  await page.getByRole("button", { name: "New rule" }).click();
  const form = page.getByRole("form", { name: "New rule" });
  await form.getByLabel("Name").fill("SLA");
  await form.getByLabel("What").selectOption("availability_below");
  await form.getByLabel("%").fill("a lot");
  await form.getByRole("button", { name: "Watch it" }).click();
  await form.getByRole("alert").getByText("`availability_below` cannot be `a lot`").waitFor();
  await form.getByLabel("%").fill("99.5");
  await form.getByLabel("of at least").fill("5");
  await form.getByRole("button", { name: "Watch it" }).click();
  // Four of five succeeded; none may fail.
  await page.getByText("4 of 5 calls within 30d succeeded: 80 %, below the line of 99.5 %. 1 failed, where 0 calls may.").first().waitFor();
  const levels = page.getByRole("region", { name: "Service levels" });
  await levels.getByText("80 % over 30 days, line 99.5 %").waitFor();
  await levels.getByText("0 of 1 days kept; 1 of 5 calls failed, 0 may.").waitFor();
  assert.equal(await levels.getByRole("listitem").count(), 30);
  assert.match(gate.tollgate("alerts", "compliance"), /SLA: BROKEN/);
  await shot("alerts-levels");
});

test("a view is saved under a name, found again from another page and by the palette, and forgotten", async () => {
  await open("/models?by=capability&range=all&status=succeeded");
  await page.getByText("Views", { exact: true }).click();
  await page.getByLabel("Name of the view").fill("<b>what worked</b>");
  await page.getByLabel("Name of the view").press("Enter");
  await page.getByRole("button", { name: "<b>what worked</b>", exact: true }).waitFor();
  await shot("views");
  await open("/activity");
  await page.getByText("Views", { exact: true }).click();
  await page.getByRole("button", { name: "<b>what worked</b>", exact: true }).click();
  await page.waitForURL(/\/models\?by=capability&range=all&status=succeeded$/);
  await row("tools").waitFor();
  await open("/activity");
  await page.keyboard.press("Control+k");
  await page.getByRole("combobox", { name: "Search or jump" }).fill("what worked");
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/models\?by=capability/);
  await page.getByText("Views", { exact: true }).click();
  await page.getByRole("button", { name: "Forget the view <b>what worked</b>" }).click();
  await page.getByText("kept by this browser").waitFor();
});

test("the days of a year are walked through by keyboard, and Enter shows one", async () => {
  await open("/activity?range=all");
  await page.getByText("Days of the last year").click();
  const days = page.getByRole("group", { name: /^Days of the last year/ }).getByRole("button");
  await days.first().waitFor();
  assert.ok([365, 366].includes(await days.count()), `${await days.count()}`);
  const today = days.last();
  assert.match(await today.getAttribute("aria-label"), /: 5 calls, \$0\.01/);
  await today.focus();
  await page.keyboard.press("ArrowUp");
  assert.match(await page.evaluate(() => document.activeElement.ariaLabel), /: no calls$/);
  await page.keyboard.press("ArrowDown");
  await shot("calendar");
  await page.keyboard.press("Enter");
  await page.waitForURL(/from=.*&to=/);
  assert.equal(await page.evaluate(() => document.title), "Tollgate");
});

for (const theme of ["light", "dark"]) {
  test(`the pages are flawless for axe, ${theme}, and fit a narrow screen`, async () => {
    await page.evaluate((chosen) => localStorage.setItem("theme", chosen), theme);
    for (const path of ["/performance?range=all", "/models?by=capability&range=all", "/alerts", "/activity?range=all"]) {
      await page.setViewportSize({ width: 1440, height: 900 });
      await open(path);
      if (path.startsWith("/activity")) await page.getByText("Days of the last year").click();
      await page.addScriptTag({ content: AXE }).catch(() => page.evaluate(AXE));
      const found = await page.evaluate(() => globalThis.axe.run());
      assert.deepEqual(found.violations.map((one) => `${one.id}: ${one.nodes[0].html}`), [], path);
      await page.setViewportSize({ width: 360, height: 800 });
      await open(path);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(wide <= 360, `${path} is ${wide} px wide`);
      await shot(`narrow-${theme}-${path.split("?")[0].slice(1)}`);
    }
  });
}

test("nothing went wrong on the way", () => assert.deepEqual(errors, []));
