// Passes and workspaces on their pages: made, shown once, limited, renamed, revoked; renamed, merged, archived.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { chromium } from "playwright-core";
import { start } from "./gate.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const MARKUP = `<img src=x onerror="document.title='owned'">'"&`;

let gate, browser, page, secret;
const errors = [];

before(async () => {
  gate = await start(() => ({ input: 1000, cached: 0, output: 100 }));
  for (const name of ["client_a", "client-a", "old", encodeURIComponent(MARKUP)]) await gate.call("gpt-5.1", `/w/${name}/v1/chat/completions`);
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, timezoneId: "Europe/Berlin", permissions: ["clipboard-read", "clipboard-write"] });
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
const open = async (path) => {
  await page.goto(gate.origin + path);
  await page.waitForFunction(() => !document.querySelector("[aria-busy=true]"));
};
const passes = () => page.getByRole("region", { name: "Passes", exact: true });
const pass = (label) => gate.tollgate("passes", "list", "--json").trim().split("\n").map((line) => JSON.parse(line)).find((one) => one.label === label);
const call = (model) =>
  fetch(`${gate.origin}/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: "Bearer sk-planted", "x-api-key": secret, "content-type": "application/json" },
    body: JSON.stringify({ model, messages: [{ role: "user", content: "hello" }] }),
  });
const flawless = async (what) => {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => axe.run());
  assert.deepEqual(violations.map((one) => `${what}: ${one.id} ${one.nodes.map((node) => node.html.slice(0, 200)).join(" | ")}`), []);
};

test("a pass is made by keyboard, shown once and copied", async () => {
  await open("/providers?range=all&by=pass");
  const form = page.getByRole("form", { name: "New pass" });
  await form.getByLabel("New pass for").focus();
  await page.keyboard.type("notebook");
  await page.keyboard.press("Tab");
  await page.keyboard.type("my lab");
  await page.keyboard.press("Tab");
  await page.keyboard.type("opnai");
  await page.keyboard.press("Tab");
  await page.keyboard.type("gpt-5*, o4-mini");
  await page.keyboard.press("Enter");
  await form.getByRole("alert").getByText("there is no provider `opnai`").waitFor();
  await form.getByLabel("only providers").fill("openai");
  await page.keyboard.press("Enter");
  const made = page.getByRole("region", { name: "The new pass" });
  await made.waitFor();
  await shot("pass-made");
  await flawless("a new pass");
  await made.getByRole("button", { name: "Copy: the secret of notebook" }).click();
  secret = await page.evaluate(() => navigator.clipboard.readText());
  assert.match(secret, /^tg_[a-z2-7]{40}$/);
  assert.match(await made.innerText(), new RegExp(`OPENAI_BASE_URL=${gate.origin}/v1\\nexport OPENAI_API_KEY=${secret}`));
  await made.getByRole("button", { name: "I have it" }).click();
  assert.ok(!(await page.content()).includes(secret));
  assert.ok(await form.getByLabel("call models").isChecked(), "the next one begins as the first did");
  await open("/providers?range=all&by=pass");
  assert.ok(!(await page.content()).includes(secret));
  await passes().getByText("only openai, gpt-5*, o4-mini").waitFor();
  assert.deepEqual([(await call("gpt-5.1")).status, (await call("gpt-4.1")).status], [200, 403]);
});

test("it is limited otherwise, renamed and given an end", async () => {
  await page.getByRole("button", { name: "Change notebook" }).click();
  await page.keyboard.press("Escape");
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute("aria-label")), "Change notebook");
  await page.keyboard.press("Enter");
  const form = page.getByRole("form", { name: "Change notebook" });
  await form.getByLabel("Called").fill("desk");
  await form.getByLabel("only models").fill("gpt-4.1");
  await form.getByLabel("ends on").fill("2027-03-01");
  await shot("pass-change");
  await flawless("a pass that is changed");
  await form.getByRole("button", { name: "Keep" }).click();
  await page.getByRole("status").filter({ hasText: "“notebook” is called “desk” now" }).waitFor();
  const { models, providers, workspace, expires } = pass("desk");
  assert.deepEqual([models, providers, workspace, expires], [["gpt-4.1"], ["openai"], "my lab", "2027-02-28T23:00:00.000Z"]);
  assert.deepEqual([(await call("gpt-5.1")).status, (await call("gpt-4.1")).status], [403, 200]);
  await passes().getByText("until 1 Mar 2027").waitFor();
});

test("it is revoked with what runs under it", async () => {
  await page.getByRole("button", { name: "Revoke desk" }).click();
  const asks = page.getByRole("group", { name: "Revoke desk?" });
  await shot("pass-revoke");
  await flawless("a pass that is revoked");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Keep it");
  await page.keyboard.press("Escape");
  await asks.waitFor({ state: "detached" });
  await page.keyboard.press("Enter");
  await asks.getByRole("button", { name: "Revoke and cut what runs" }).click();
  await page.getByRole("status").filter({ hasText: "“desk” is revoked, and what ran under it is cut" }).waitFor();
  await passes().getByText("revoked", { exact: false }).first().waitFor();
  assert.equal((await call("gpt-4.1")).status, 401);
});

const names = () => page.getByRole("region", { name: "Names" });
const rows = () => Object.fromEntries(gate.usage("--by", "workspace").rows.map((row) => [row.name, row.requests]));

test("workspaces are renamed and merged, and figures follow", async () => {
  await open("/workspaces?range=all");
  await shot("workspaces");
  await flawless("workspaces");
  const before = rows();
  await names().getByRole("button", { name: "Rename client-a" }).click();
  const form = page.getByRole("form", { name: "Rename client-a" });
  await form.getByLabel("Call it").fill("old");
  await page.keyboard.press("Enter");
  await names().getByRole("alert").getByText("belongs to another workspace").waitFor();
  await form.getByLabel("Call it").fill("Client A");
  await page.keyboard.press("Enter");
  await names().getByRole("status").filter({ hasText: "is called “Client A” now" }).waitFor();
  await names().getByText("once “client-a”").waitFor();
  await names().getByRole("button", { name: "Merge client_a" }).click();
  await shot("workspaces-merge");
  await flawless("a merge");
  await page.getByRole("form", { name: "Merge client_a" }).getByLabel("Count all of it in").selectOption("Client A");
  await page.getByRole("button", { name: "Merge", exact: true }).click();
  await names().getByRole("status").filter({ hasText: "past calls too" }).waitFor();
  await page.locator("tbody").getByText("Client A").waitFor();
  const after = rows();
  assert.equal(after["Client A"], before["client-a"] + before.client_a);
  assert.equal(after.client_a, undefined);
  // A bookmark with the old name shows the same.
  await open("/activity?range=all&workspace=client_a");
  assert.equal(await page.title(), "Tollgate");
  assert.match(await page.locator("main").innerText(), /Requests\s+2/);
});

test("an archived workspace leaves lists and choices until it is used again", async () => {
  await open("/workspaces?range=all");
  await names().getByRole("button", { name: "Archive old" }).click();
  await names().getByRole("status").filter({ hasText: "“old” is archived" }).waitFor();
  await page.getByText("1 archived left out here").waitFor();
  assert.equal(await names().getByText("old", { exact: true }).count(), 0);
  const total = Object.values(rows()).reduce((all, one) => all + one, 0);
  assert.equal(gate.usage().totals.requests, total);
  await page.getByText("Filter", { exact: true }).click();
  await page.getByRole("button", { name: "Workspace", exact: true }).click();
  const switcher = await page.getByRole("combobox", { name: "Workspace" }).locator("option").allInnerTexts();
  assert.deepEqual([switcher.includes("Client A"), switcher.includes("old")], [true, false]);
  const choices = page.locator("details");
  await choices.getByRole("button", { name: "Client A", exact: true }).waitFor();
  await choices.getByRole("button", { name: "old", exact: true }).waitFor({ state: "detached" });
  await page.keyboard.type("ol");
  await choices.getByRole("button", { name: "old", exact: true }).waitFor();
  await names().getByRole("button", { name: "Show 1 archived" }).click();
  await names().getByRole("button", { name: "Bring old back" }).waitFor();
  await shot("workspaces-archived");
  await gate.call("gpt-5.1", "/w/old/v1/chat/completions");
  await names().getByRole("button", { name: "Archive old" }).waitFor();
});

test("both fit a phone", async () => {
  await page.setViewportSize({ width: 360, height: 740 });
  gate.tollgate("passes", "add", "a".repeat(64), "--model", "m".repeat(190));
  for (const path of ["/workspaces?range=all", "/providers?range=all&by=pass"]) {
    await open(path);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(wide <= 0, `${path} is ${wide} px too wide`);
    const squashed = await page.evaluate(() => [...document.querySelectorAll("main > *")].filter((one) => one.scrollHeight > one.clientHeight + 2).map((one) => one.className));
    assert.deepEqual(squashed, [], `${path} hides what does not fit`);
    await shot(`phone-${path.slice(1, 5)}`);
  }
  assert.deepEqual(errors, []);
});
