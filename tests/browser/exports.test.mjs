// Exports made in the background, a view handed on as a file and as a link.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync, mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";
import { start } from "./gate.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const HOSTILE = `</script><img src=x onerror="document.title='owned'">"'&`;
const shots = process.env.SHOTS;

let gate, browser, context, page;
const errors = [];

before(async () => {
  gate = await start((model) => ({ input: 1000 + model.length, cached: 0, output: 20 }));
  for (const model of ["gpt-5.1", "gpt-5-mini", "gpt-5.1", HOSTILE]) await gate.call(model);
  await gate.call("gpt-5.1", `/w/${encodeURIComponent("a-workspace")}/v1/chat/completions`);
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
  context = await browser.newContext({ viewport: { width: 1440, height: 900 }, timezoneId: "Europe/Berlin" });
  await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: gate.origin });
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

const axe = async (of) => {
  await of.evaluate(AXE);
  const { violations } = await of.evaluate(() => globalThis.axe.run({ runOnly: ["wcag2a", "wcag2aa"] }));
  assert.deepEqual(violations.map((one) => `${one.id}: ${one.nodes[0].html}`), []);
};

test("hours are ordered, downloaded, still there after a reload, and removed", async () => {
  await page.goto(`${gate.origin}/export?range=all`);
  await page.getByRole("radio", { name: /Hours/ }).check();
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Export", exact: true }).click()]);
  const name = download.suggestedFilename();
  assert.match(name, /^usage-start_\d{4}-\d\d-\d\d\.csv$/);
  const rows = readFileSync(await download.path(), "utf8");
  assert.equal(rows, gate.tollgate("export", "--format", "csv", "--form", "hourly"));
  await page.getByRole("status").filter({ hasText: name }).waitFor();
  await page.reload();
  const row = page.getByRole("row").filter({ hasText: name });
  await row.getByText("done").waitFor();
  if (shots) await page.screenshot({ path: join(shots, "export.png"), fullPage: true });
  const [again] = await Promise.all([page.waitForEvent("download"), row.getByRole("button", { name: /^Download/ }).click()]);
  assert.equal(readFileSync(await again.path(), "utf8"), rows);
  assert.equal(JSON.parse(gate.tollgate("exports", "--json").split("\n")[0]).status, "done");
  await axe(page);
  await row.getByRole("button", { name: /^Remove/ }).click();
  await row.waitFor({ state: "detached" });
  assert.equal(gate.tollgate("exports", "--json"), "");
});

test("a view is handed on as one file that asks nobody for anything", async () => {
  await page.goto(`${gate.origin}/activity?range=all`);
  await page.getByText("Share", { exact: true }).click();
  if (shots) await page.screenshot({ path: join(shots, "share.png") });
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Save as one HTML file" }).click()]);
  assert.match(download.suggestedFilename(), /^usage-.*\.html$/);
  const folder = mkdtempSync(join(tmpdir(), "tollgate-report-"));
  const file = join(folder, "usage.html");
  writeFileSync(file, readFileSync(await download.path()));
  for (const colorScheme of ["light", "dark"]) {
    const elsewhere = await browser.newContext({ colorScheme, offline: true, viewport: { width: 1200, height: 900 } });
    const report = await elsewhere.newPage();
    const [asked, said] = [[], []];
    report.on("request", (request) => asked.push(request.url()));
    report.on("console", (message) => said.push(message.text()));
    report.on("pageerror", (error) => said.push(error.message));
    const address = pathToFileURL(file).href;
    await report.goto(address);
    assert.deepEqual(asked, [address]);
    assert.deepEqual(said, [], "its policy has nothing to refuse");
    assert.match(await report.title(), /^Tollgate usage/);
    assert.equal(await report.locator("script, img, iframe, link, object").count(), 0);
    await report.getByRole("rowheader", { name: HOSTILE }).waitFor();
    const style = await report.evaluate(() => getComputedStyle(document.body).backgroundColor);
    assert.equal(style, colorScheme === "light" ? "rgb(255, 255, 255)" : "rgb(22, 23, 26)");
    const { totals } = gate.usage();
    await report.getByText(`exactly ${totals.cost} USD`, { exact: false }).first().waitFor();
    if (shots) await report.screenshot({ path: join(shots, `report-${colorScheme}.png`), fullPage: true });
    await axe(report);
    if (shots && colorScheme === "light") writeFileSync(join(shots, "report.pdf"), await report.pdf());
    await elsewhere.close();
  }
  rmSync(folder, { recursive: true });
});

test("a link leads who is not let in yet to the view after signing in", async () => {
  await page.goto(`${gate.origin}/requests?range=all&model=gpt-5-mini`);
  await page.getByText("Share", { exact: true }).click();
  await page.getByRole("button", { name: "Copy link" }).click();
  await page.getByRole("button", { name: "Copied" }).waitFor();
  const link = await page.evaluate(() => navigator.clipboard.readText());
  assert.equal(link, `${gate.origin}/requests?range=all&model=gpt-5-mini`);
  const stranger = await browser.newContext();
  const other = await stranger.newPage();
  await other.goto(link);
  await other.getByRole("alert").filter({ hasText: "tollgate open" }).first().waitFor();
  if (shots) await other.screenshot({ path: join(shots, "signin.png") });
  const address = gate.tollgate("open").trim().split("\n").find((line) => line.includes("once="));
  await other.goto(/http\S+/.exec(address)[0]);
  await other.waitForURL(link);
  await other.locator("main").getByText("gpt-5-mini").first().waitFor();
  // Only to a page of ours, and only once.
  await other.evaluate(() => localStorage.setItem("tollgate-wanted", JSON.stringify({ to: "https://elsewhere.example/activity", at: Date.now() })));
  await other.goto(`${gate.origin}/`);
  await other.getByRole("heading", { name: "Activity" }).waitFor();
  assert.equal(new URL(other.url()).origin, gate.origin);
  await stranger.close();
});

test("nothing went wrong unseen", () => assert.deepEqual(errors, []));
