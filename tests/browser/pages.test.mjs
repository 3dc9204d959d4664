// The pages in a real browser, against the real program and a real ledger.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { chromium } from "playwright-core";
import { start } from "./gate.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const PAGES = ["activity", "requests", "models", "providers", "workspaces", "prices", "alerts", "export", "connect", "settings"];
const MARKUP = `<img src=x onerror="document.title='owned'">"'&`;
const ARABIC = "\u202eنموذج-أ";
const LONG = "long-".repeat(2000);

let gate, browser, context, page;
const errors = [];
let seed = 7;
const usage = (model) => {
  seed = (seed * 48271) % 2147483647;
  if (model === "broken-model") return { status: 500 };
  if (model === "made-up-model") return { input: 1234, cached: 0, output: 56 };
  return { input: 1000 + (seed % 5000), cached: seed % 1000, output: seed % 700 };
};

before(async () => {
  gate = await start(usage);
  for (const model of ["gpt-5.1", "gpt-5-mini", "gpt-5.1", "gpt-5-mini", "made-up-model", "broken-model"]) await gate.call(model);
  await gate.call("gpt-5.1", "/w/client-a/v1/chat/completions");
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
  context = await browser.newContext({ viewport: { width: 1440, height: 900 }, timezoneId: "Europe/Berlin" });
  page = await context.newPage();
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
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
const kpi = async (label) => (await page.locator("main a", { hasText: label }).first().locator("div").nth(1).innerText()).trim();
const attos = (text) => {
  const [whole, rest = ""] = text.split(".");
  return BigInt(whole) * 10n ** 18n + BigInt(rest.padEnd(18, "0"));
};

test("an address opens once, and without it nothing is told", async () => {
  const stranger = await browser.newContext();
  const other = await stranger.newPage();
  const again = await other.goto(gate.pages);
  assert.equal(again.status(), 403);
  assert.match(await other.innerText("body"), /tollgate open/);
  await other.goto(gate.origin + "/activity");
  await other.getByRole("alert").waitFor();
  assert.match(await other.getByRole("alert").innerText(), /tollgate open/);
  const answer = await other.request.get(gate.origin + "/api/v1/usage");
  assert.equal(answer.status(), 401);
  await stranger.close();
});

test("figures are those of `tollgate usage`", async () => {
  await open("/activity?range=all");
  const { totals } = gate.usage();
  assert.equal(await kpi("Requests"), String(totals.requests));
  const shown = await page.locator("main a", { hasText: "Spend" }).first().locator("[title^='$']").getAttribute("title");
  assert.equal(shown, `$${totals.cost}`);
  for (const by of ["model", "workspace", "provider"]) {
    await open(by === "model" ? "/models?range=all&view=performance" : by === "provider" ? "/providers?range=all" : "/workspaces?range=all");
    for (const row of gate.usage("--by", by).rows) {
      const cells = page.locator("tbody tr", { has: page.getByText(row.name ?? "no model", { exact: true }) }).first();
      if (row.cost === null) assert.match(await cells.innerText(), /unpriced/);
      else assert.equal(await cells.locator("[title^='$']").first().getAttribute("title"), `$${row.cost}`, `${by} ${row.name}`);
      assert.match(await cells.innerText(), new RegExp(`\\b${row.requests}\\b`));
    }
  }
});

test("a figure leads to its receipt, and the keyboard to the next", async () => {
  await open("/models?range=all");
  await page.getByRole("button", { name: "gpt-5.1" }).click();
  await page.getByRole("link", { name: "Its requests" }).click();
  await page.waitForURL(/model=gpt-5\.1/);
  const rows = page.locator("tbody tr[aria-rowindex]");
  await page.waitForFunction(() => document.querySelectorAll("tbody tr[aria-rowindex]").length === 3);
  await rows.first().getByRole("link").click();
  const panel = page.getByRole("complementary", { name: "Receipt" });
  await panel.getByText("TOTAL", { exact: true }).waitFor();
  const id = new URL(page.url()).searchParams.get("open");
  const receipt = JSON.parse(gate.tollgate("show", id, "--json"));
  assert.equal(await panel.getByText("TOTAL", { exact: true }).locator("xpath=following-sibling::span").getAttribute("title"), `$${receipt.cost}`);
  await page.keyboard.press("j");
  await page.waitForFunction((id) => !location.search.includes(id), id);
  await page.getByRole("tab", { name: "JSON" }).click();
  await panel.getByText('"usage_state": "reported"').waitFor();
  await page.keyboard.press("Escape");
  await panel.waitFor({ state: "detached" });
});

test("filters stand in the address and Back undoes them", async () => {
  await open("/requests?range=all");
  await page.getByText("Filter", { exact: true }).click();
  await page.getByRole("button", { name: "Status", exact: true }).click();
  await page.getByRole("button", { name: "error", exact: true }).click();
  await page.waitForURL(/status=error/);
  await page.waitForFunction(() => document.querySelectorAll("tbody tr[aria-rowindex]").length === 1);
  await page.goBack();
  await page.waitForFunction(() => document.querySelectorAll("tbody tr[aria-rowindex]").length > 1);
});

test("a new call appears by itself", async () => {
  await open("/requests?range=all");
  const receipt = await gate.call("gpt-5-mini");
  await page.locator(`a[href*="${receipt.id}"]`).waitFor({ timeout: 5000 });
});

test("an exported file adds up to the shown total", async () => {
  await open("/export?range=all");
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Export", exact: true }).click()]);
  assert.match(download.suggestedFilename(), /^usage-.*\.csv$/);
  const [head, ...rows] = readFileSync(await download.path(), "utf8").trimEnd().split(/\r?\n/);
  const at = head.split(",").indexOf("cost");
  assert.ok(at > 0, head);
  const { totals } = gate.usage();
  assert.equal(rows.length, totals.requests);
  const cells = rows.map((row) => row.match(/("([^"]|"")*"|[^,]*)(,|$)/g).map((cell) => cell.replace(/,$/, "")));
  const sum = cells.reduce((all, row) => all + (row[at] ? attos(row[at]) : 0n), 0n);
  assert.equal(sum, attos(totals.cost));
});

test("the test call leaves the first receipt live", async () => {
  await open("/connect");
  await page.getByRole("button", { name: "Send a test call" }).click();
  await page.getByText("It arrived.").waitFor();
});

test("the palette jumps by keyboard", async () => {
  await open("/activity");
  await page.keyboard.press("Control+k");
  await page.keyboard.type("go to mod");
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/models/);
});

test("hostile names are text, and nonsense in the address is a sentence", async () => {
  for (const model of [MARKUP, ARABIC, LONG]) await gate.call(model);
  for (const path of ["/activity?range=all", "/requests?range=all", "/models?range=all", "/prices?range=all"]) {
    await open(path);
    await page.getByText(MARKUP.slice(0, 20)).first().waitFor();
    assert.equal(await page.title(), "Tollgate");
    const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
    assert.equal(wide, false, `${path} is wider than the window`);
  }
  for (const path of ["/requests?status=%3Cscript%3E", "/activity?from=soon", "/activity?from=2026-11-02&to=2026-11-01", "/models?range=0x", "/requests?open=nothing"]) {
    await page.goto(gate.origin + path);
    await page.getByRole("alert").first().waitFor();
  }
  await open("/no-such-page-of-ours".replace("/no-such-page-of-ours", "/activity/deep/er?granularity=day"));
  errors.length = 0;
});

for (const theme of ["light", "dark"]) {
  test(`no page breaks a rule of accessibility, ${theme}`, async () => {
    await page.emulateMedia({ colorScheme: theme });
    for (const name of [...PAGES, "models?range=all&view=grouped", "providers?range=all&by=key", "providers?range=all&by=pass", "requests?range=all&open=" + JSON.parse(gate.tollgate("requests", "--json").split("\n")[0]).id]) {
      await open(name.includes("?") ? `/${name}` : `/${name}?range=all`);
      await page.evaluate(AXE);
      const { violations } = await page.evaluate(() => axe.run());
      const told = violations.map((one) => `${name}: ${one.id} ${one.help} ${one.nodes.slice(0, 3).map((node) => node.html.slice(0, 200)).join(" | ")}`);
      assert.deepEqual(told, []);
    }
  });
}

test("a price that the user tells values what is past", async () => {
  await page.setViewportSize({ width: 1440, height: 900 });
  await open("/prices?range=all&model=made-up-model");
  await page.getByText("1 day old").or(page.getByText("days old")).waitFor();
  await page.getByRole("button", { name: "made-up-model" }).click();
  await page.getByRole("textbox", { name: "Input", exact: true }).fill("2");
  await page.getByRole("textbox", { name: "Output", exact: true }).fill("10");
  assert.equal(gate.usage("--model", "made-up-model").totals.unpriced, 1);
  await page.getByRole("button", { name: "Tell Tollgate the price" }).click();
  await page.getByRole("status").filter({ hasText: "1 past call is valued with it" }).waitFor();
  const { totals, rows } = gate.usage("--model", "made-up-model", "--by", "model");
  // 1,234 tokens at $2 and 56 at $10 a million.
  assert.deepEqual([totals.unpriced, rows[0].cost], [0, "0.003028"]);
  assert.match(gate.tollgate("prices", "override"), /made-up-model/);
  await open("/prices?range=all&model=made-up-model");
  await page.getByText("Every call of this period has a known cost.").waitFor();
  await page.getByText("input.text 2, output.text 10").waitFor();
});

test("models by key and time, and Excel, are a click away", async () => {
  await open("/models?range=all&view=grouped");
  await page.getByRole("cell", { name: "gpt-5-mini" }).first().waitFor();
  await page.getByLabel("model by").selectOption("workspace");
  await page.getByRole("cell", { name: "client-a" }).first().waitFor();
  await open("/export?range=all");
  await page.getByRole("radio", { name: /Excel/ }).check();
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Export", exact: true }).click()]);
  assert.match(download.suggestedFilename(), /^usage-.*\.xlsx$/);
  assert.equal(readFileSync(await download.path()).subarray(0, 2).toString(), "PK");
});

test("a key that is kept is used for a pass and never shown", async () => {
  await open("/providers?range=all&by=key");
  const form = page.getByRole("region", { name: "Stored keys" });
  await form.getByLabel("Provider").selectOption("openai");
  await form.getByLabel("Key", { exact: true }).fill("sk-planted-in-the-page");
  await form.getByRole("button", { name: "Keep it" }).click();
  assert.match(await form.getByRole("alert").innerText(), /--store file|in a file/);
  await form.getByLabel("Key", { exact: true }).fill("sk-planted-in-the-page");
  await form.getByLabel("in a file").check();
  await form.getByRole("button", { name: "Keep it" }).click();
  await form.getByRole("status").filter({ hasText: "is kept, for" }).waitFor();
  await form.getByRole("status").filter({ hasText: "takes “default”" }).waitFor();
  await form.getByLabel("Provider").selectOption("openai");
  await form.getByLabel("Key", { exact: true }).fill("sk-planted-and-wrong");
  await form.getByLabel("called").fill("wrong");
  await form.getByLabel("in a file").check();
  await form.getByRole("button", { name: "Keep it" }).click();
  await form.getByRole("status").filter({ hasText: "refuses “wrong” (401): Incorrect API key" }).waitFor();
  const row = (label) => form.getByRole("row").filter({ has: page.getByRole("cell", { name: label, exact: true }) });
  await row("default").getByRole("button", { name: "Test" }).click();
  await form.getByRole("status").filter({ hasText: "takes “default”" }).waitFor();
  await row("default").getByRole("button", { name: "Use" }).click();
  await form.getByText("Calls to openai use “default” from now on.").waitFor();
  await row("wrong").getByRole("button", { name: "Use" }).click();
  await form.getByText("Calls to openai use “wrong” from now on.").waitFor();
  if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/keys.png` });
  page.once("dialog", (dialog) => dialog.accept());
  await row("wrong").getByRole("button", { name: "Remove" }).click();
  await row("default").getByRole("cell", { name: "used", exact: true }).waitFor();
  const secret = gate.tollgate("passes", "add", "from-the-page").trim();
  const body = JSON.stringify({ model: "gpt-5.1", messages: [] });
  const answer = await fetch(`${gate.origin}/v1/chat/completions`, { method: "POST", headers: { authorization: `Bearer ${secret}`, "content-type": "application/json" }, body });
  assert.equal(answer.status, 200);
  assert.ok(!(await page.content()).includes("sk-planted"));
  page.once("dialog", (dialog) => dialog.accept());
  await form.getByRole("button", { name: "Remove" }).click();
  await form.getByText("No stored key.").waitFor();
  // The browser notes the refusal.
  errors.length = 0;
});

test("every page fits a phone and a wall", async () => {
  for (const [width, height] of [[360, 740], [3840, 2160]]) {
    await page.setViewportSize({ width, height });
    for (const name of [...PAGES, "models?view=grouped&"]) {
      await open(`/${name}${name.endsWith("&") ? "" : "?"}range=all`);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(wide <= 0, `${name} at ${width} px is ${wide} px too wide`);
    }
  }
  assert.deepEqual(errors, []);
});
