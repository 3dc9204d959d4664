// The pages over a year of a million receipts, against the real program.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { readFileSync } from "node:fs";
import { chromium } from "playwright-core";
import { start } from "./gate.mjs";

const RECEIPTS = Number(process.env.RECEIPTS ?? 1_000_000);
const DAY = 86_400_000;
let gate, browser, page;

// A period that stands still, so that the page and the command line speak of the same.
const to = new Date(Math.floor(Date.now() / DAY) * DAY - DAY).toISOString();
const from = new Date(Date.parse(to) - 30 * DAY).toISOString();
const period = `from=${from}&to=${to}`;
const flags = ["--from", from, "--to", to];

before(async () => {
  gate = await start(() => ({ input: 100, cached: 0, output: 10 }), RECEIPTS);
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, timezoneId: "Europe/Berlin" });
  page = await context.newPage();
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
const attos = (text) => {
  const [whole, rest = ""] = text.split(".");
  return BigInt(whole) * 10n ** 18n + BigInt(rest.padEnd(18, "0"));
};
const shown = async (label) => page.locator("main a", { hasText: label }).first().locator("[title^='$']").getAttribute("title");

test("all of them are there", () => {
  assert.equal(gate.usage("--demo", "with").totals.requests, RECEIPTS);
});

test("no figure differs from `tollgate usage` for the same filter", async () => {
  for (const filter of ["", "workspace=shop", "provider=openai&status=error", "model=gpt-5-2025-08-07&key=own"]) {
    const own = filter === "" ? [] : filter.split("&").flatMap((one) => [`--${one.split("=")[0]}`, one.split("=")[1]]);
    await open(`/activity?${period}&${filter}`);
    const { totals } = gate.usage(...flags, ...own);
    assert.ok(totals.requests > 0, filter);
    if (totals.cost !== null) assert.equal(await shown("Spend"), `$${totals.cost}`, filter);
    const requests = page.getByText(/ in this period, newest first/);
    assert.equal((await requests.innerText()).split(" ")[0], totals.requests.toLocaleString("en-US"), filter);
  }
  for (const [path, by, none] of [["models", "model", "no model"], ["providers", "provider", "no provider"], ["workspaces", "workspace", ""]]) {
    await open(`/${path}?${period}`);
    for (const row of gate.usage(...flags, "--by", by).rows) {
      const cells = page.locator("tbody tr", { has: page.getByText(row.name ?? none, { exact: true }) }).first();
      const text = await cells.innerText();
      if (row.unpriced > 0) assert.match(text, /unpriced/);
      if (row.cost !== null) assert.equal(await cells.locator("[title^='$']").first().getAttribute("title"), `$${row.cost}`, row.name);
      assert.ok(text.includes(row.requests.toLocaleString("en-US")), `${by} ${row.name}: ${text}`);
    }
  }
});

test("models by key and day are the rows of the command line", async () => {
  await open(`/models?${period}&view=grouped&and=key&per=day&model=gemini-2.5-pro`);
  const { rows } = gate.usage(...flags, "--model", "gemini-2.5-pro", "--by", "model,key,day");
  const cells = page.locator("tbody tr", { hasText: "gemini-2.5-pro" });
  assert.equal(await cells.count(), rows.length);
  const newest = rows.at(-1);
  assert.equal(await cells.first().locator("[title^='$']").getAttribute("title"), `$${newest.cost}`);
});

test("a rare error is found among all of them and leads to its receipt", async () => {
  await open("/requests?range=all&status=500&model=gpt-image-1");
  const first = page.locator("tbody tr[aria-rowindex]").first();
  await first.getByRole("link").click();
  await page.getByRole("complementary", { name: "Receipt" }).getByText("TOTAL", { exact: true }).waitFor();
  const receipt = JSON.parse(gate.tollgate("show", new URL(page.url()).searchParams.get("open"), "--json"));
  assert.deepEqual([receipt.http_status, receipt.model], [500, "gpt-image-1"]);
});

test("the log goes down through thousands of rows and keeps few of them in the page", async () => {
  await open("/requests?range=all");
  const log = page.locator("[aria-rowcount]").first();
  await page.locator("tbody tr[aria-rowindex]").first().waitFor();
  let last = 0;
  for (let turn = 0; turn < 40 && last < 1000; turn += 1) {
    await page.mouse.move(700, 500);
    await page.mouse.wheel(0, 4000);
    await page.waitForTimeout(60);
    last = await page.locator("tbody tr[aria-rowindex]").last().getAttribute("aria-rowindex").then(Number);
  }
  assert.ok(last >= 1000, `got to row ${last}`);
  assert.ok((await page.locator("tbody tr").count()) < 200, "only what is seen is in the page");
  assert.ok(log);
});

test("an exported period adds up to the shown total", { timeout: 300_000 }, async () => {
  await open(`/export?${period}&workspace=thesis&workspace=client-a`);
  const { totals } = gate.usage(...flags, "--workspace", "thesis", "--workspace", "client-a");
  const [download] = await Promise.all([page.waitForEvent("download", { timeout: 240_000 }), page.getByRole("button", { name: "Export", exact: true }).click()]);
  const [head, ...rows] = readFileSync(await download.path(), "utf8").trimEnd().split(/\r?\n/);
  const at = head.split(",").indexOf("cost");
  assert.equal(rows.length, totals.requests);
  const cells = rows.map((row) => row.match(/("([^"]|"")*"|[^,]*)(,|$)/g).map((cell) => cell.replace(/,$/, "")));
  const sum = cells.reduce((all, row) => all + (row[at] ? attos(row[at]) : 0n), 0n);
  assert.equal(sum, attos(totals.cost));
});

test("an export that is too much can be cancelled, and nothing is saved", async () => {
  for (const [address, format] of [["/export?range=all", /CSV/], [`/export?${period}`, /Excel/]]) {
    await open(address);
    await page.getByRole("radio", { name: format }).check();
    await page.getByRole("button", { name: "Export", exact: true }).click();
    await page.getByRole("button", { name: /^Cancel/ }).click();
    await page.getByText("Cancelled; nothing was saved.").waitFor();
  }
});

test("figures move while calls flow", async () => {
  await open("/requests?range=1h");
  const calls = Promise.all([1, 2, 3].map(() => gate.call("gpt-5-mini")));
  for (const receipt of await calls) await page.locator(`a[href*="${receipt.id}"]`).waitFor({ timeout: 10_000 });
});
