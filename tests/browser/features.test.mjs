// Every line of the README's table of features is walked: its page opens, its command runs, its address answers.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";
import { start } from "./gate.mjs";

const README = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
const table = README.split("<!-- features -->")[1].trim().split("\n\n")[0];
const rows = table.split("\n").slice(2).map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));

let gate, browser, page, bearer, receipt;
const errors = [];

before(async () => {
  gate = await start(() => ({ input: 1000, cached: 200, output: 100 }), 0, "", "[metrics]\nenabled = true\n");
  receipt = (await gate.call("gpt-4o-mini")).id;
  const made = JSON.parse(gate.tollgate("passes", "add", "journey", "--scope", "usage:read", "--scope", "manage", "--json"));
  bearer = made.secret;
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
  page = await (await browser.newContext({ viewport: { width: 1440, height: 900 } })).newPage();
  page.on("pageerror", (error) => errors.push(error.message));
  await page.goto(gate.pages);
  await page.getByRole("heading", { level: 1, name: "Activity" }).waitFor();
});
after(async () => {
  await browser?.close();
  await gate?.stop();
});

test("the table names what there is", () => {
  assert.ok(rows.length > 20, `${rows.length} lines were found`);
  for (const row of rows) assert.equal(row.length, 4, row.join(" | "));
});

for (const [what, where, command, address] of rows) {
  test(what, async () => {
    if (where) {
      await page.getByRole("navigation").getByRole("link", { name: where }).first().click();
      await page.getByRole("heading", { level: 1, name: where }).waitFor();
      await page.getByText("Loading").waitFor({ state: "hidden" });
      assert.equal(await page.getByRole("alert").count(), 0, `${where} shows a failure`);
      assert.deepEqual(errors, []);
    }
    const words = /`tollgate ([^`]+)`/.exec(command)?.[1].replace("ID", receipt);
    if (words) gate.tollgate(...words.split(" "));
    const path = /`(\/[^`]+)`/.exec(address)?.[1].replace("ID", receipt);
    if (path) {
      const answer = await fetch(gate.origin + path, { headers: { authorization: `Bearer ${bearer}` } });
      assert.equal(answer.status, 200, `${path}: ${await answer.text()}`);
    } else if (address.includes("x-tollgate-meta")) {
      const asked = { "content-type": "application/json", "x-tollgate-meta": "1" };
      const body = JSON.stringify({ model: "demo-small", messages: [{ role: "user", content: "Hello" }] });
      const answer = await fetch(`${gate.origin}/demo/v1/chat/completions`, { method: "POST", headers: asked, body });
      assert.equal((await answer.json()).meta.status, "succeeded");
    }
  });
}
