// What comes from outside and leads there: the providers' limits, and the way to a call's trace.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";
import { start } from "./gate.mjs";

const LIMITS = {
  "x-ratelimit-limit-tokens": "40000",
  "x-ratelimit-remaining-tokens": "1200",
  "x-ratelimit-reset-tokens": "6m0s",
  "x-ratelimit-limit-requests": "500",
  "x-ratelimit-remaining-requests": "499",
  "x-ratelimit-reset-requests": "2h",
};
const OTLP = `[otlp]\nendpoint = "http://127.0.0.1:1"\ntrace_url = "http://traces.test/t/{trace_id}"\n`;

let gate, browser, page;
const errors = [];

before(async () => {
  gate = await start(() => ({ headers: LIMITS, input: 1000, cached: 0, output: 100 }), 0, "", OTLP);
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

const shot = (name) => (process.env.SHOTS ? page.screenshot({ path: `${process.env.SHOTS}/${name}.png`, fullPage: true }) : undefined);

test("the providers' limits stand on their page, the one that is nearest to its end first", async () => {
  const receipt = await gate.call("gpt-x");
  await page.goto(`${gate.origin}/providers`);
  const limits = page.getByRole("region", { name: "Limits" });
  const [first, second] = [1, 2].map((row) => limits.getByRole("row").nth(row));
  await first.getByText("1,200 of 40,000").waitFor();
  await first.getByText("97 %").waitFor();
  await first.getByText(/^lasts; whole in (5|6) min$/).waitFor();
  await second.getByText("499 of 500").waitFor();
  await shot("limits");
  assert.equal(receipt.status, "succeeded");
});

test("a receipt leads to its trace, and settings say that no collector listens", async () => {
  const receipt = await gate.call("gpt-x");
  await page.goto(`${gate.origin}/requests?open=${receipt.id}`);
  const link = page.getByRole("complementary", { name: "Receipt" }).getByRole("link", { name: "Its trace" });
  assert.equal(await link.getAttribute("href"), `http://traces.test/t/${receipt.id.replaceAll("-", "")}`);
  await shot("trace");
  await page.goto(`${gate.origin}/settings`);
  await page.getByText("The collector takes no traces").waitFor();
  await shot("settings-otlp");
  assert.deepEqual(errors, []);
});
