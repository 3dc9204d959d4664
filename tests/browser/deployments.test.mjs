// Servers of one's own on the page: seen by a call, declared, compared, removed; a fine-tuning is followed.
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";
import { start } from "./gate.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const MARKUP = `<img src=x onerror="document.title='owned'">'&?#%`;

let gate, browser, page, server;
let job = "running";
const asked = [];
const errors = [];

/** A server as vLLM is one, that trains as well. */
async function ownServer() {
  const server = createServer(async (request, response) => {
    let text = "";
    for await (const piece of request) text += piece;
    const json = (body) => response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body));
    if (request.url.startsWith("/v1/fine_tuning/jobs")) {
      const trained = job === "succeeded" ? 2_100_000 : null;
      return json({ object: "fine_tuning.job", id: "ftjob-planted", model: "small", status: job, trained_tokens: trained });
    }
    if (request.method === "POST") {
      const { model } = JSON.parse(text);
      return json({ id: "c", object: "chat.completion", model, choices: [{ index: 0, message: { role: "assistant", content: "." }, finish_reason: "stop" }], usage: { prompt_tokens: 1000, completion_tokens: 100, total_tokens: 1100 } });
    }
    asked.push([request.url, request.headers]);
    if (request.url === "/v1/models") return json({ object: "list", data: [{ id: MARKUP }] });
    if (request.url === "/metrics") return response.end("vllm:num_requests_running 3.0\nvllm:num_requests_waiting 1.0\n");
    return response.writeHead(request.url === "/health" ? 200 : 404).end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

before(async () => {
  server = await ownServer();
  const origin = `http://127.0.0.1:${server.address().port}`;
  const rest = `[providers.vllm]\nbase_url = "${origin}"\n[providers.tuner]\nbase_url = "${origin}"\n`;
  gate = await start(() => ({ input: 1, cached: 0, output: 1 }), 0, "", rest, "server_status_seconds = 1\n");
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, timezoneId: "Europe/Berlin" });
  page = await context.newPage();
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("dialog", (dialog) => void dialog.accept());
  await page.goto(gate.pages);
  await page.getByRole("link", { name: "Deployments", exact: true }).click();
});
after(async () => {
  await browser?.close();
  await gate?.stop();
  server?.close();
});

const table = () => page.getByRole("region", { name: "Table of deployments" });
const row = (name) => table().getByRole("row").filter({ has: page.getByRole("rowheader", { name, exact: false }) });
const listed = () => JSON.parse(gate.tollgate("deployments", "--json"));
const shot = (name) => (process.env.SHOTS ? page.screenshot({ path: `${process.env.SHOTS}/${name}.png`, fullPage: true }) : undefined);

test("without a call the page says how models come here", async () => {
  await page.getByText("No model on a server of your own was called in this period.").waitFor();
  assert.deepEqual(asked, []);
});

test("a model that is called is listed by itself, whatever it is called", async () => {
  assert.equal((await gate.call(MARKUP, "/vllm/v1/chat/completions")).status, "succeeded");
  await row("vllm/<img").getByText("Active").waitFor();
  await row("vllm/<img").getByText("3 at work, 1 waiting").waitFor();
  await row("vllm/<img").getByText("1,100").waitFor();
  assert.equal(await page.title(), "Tollgate");
  for (const [, headers] of asked) assert.equal(headers.authorization, undefined);
});

test("it is declared by keyboard with a price and a paid model, and a wrong field is refused", async () => {
  await row("vllm/<img").getByRole("button", { name: /^Declare / }).press("Enter");
  const form = page.getByRole("form", { name: "New deployment" });
  await form.getByLabel("Name").fill("studio");
  await form.getByLabel("GPUs set aside for it").fill("two");
  await form.getByLabel("Dollars an hour").fill("3.60");
  await form.getByLabel("Compared with").fill("openai/gpt-4o");
  await form.getByRole("button", { name: "Declare" }).click();
  await form.getByRole("alert").waitFor();
  await form.getByLabel("GPUs set aside for it").fill("2");
  await form.getByLabel("GPUs set aside for it").press("Enter");
  await row("studio").getByText("$3.60 an hour").waitFor();
  await row("studio").getByText("versus openai/gpt-4o").waitFor();
  await row("studio").getByText("declared", { exact: true }).waitFor();
  const studio = listed().deployments[0];
  // 1,000 tokens in at $2.50 and 100 out at $10 a million.
  assert.deepEqual([studio.versus.cost, studio.requests, studio.gpus], ["0.0035", 1, 2]);
  await page.getByRole("link", { name: /^GPU hours/ }).waitFor();
});

test("a fine-tuning is followed by what the client's own calls show", async () => {
  const headers = { authorization: "Bearer sk-planted", "content-type": "application/json" };
  const path = `${gate.origin}/tuner/v1/fine_tuning/jobs`;
  await (await fetch(path, { method: "POST", headers, body: JSON.stringify({ model: "small", training_file: "file-1" }) })).text();
  await row("ftjob-planted").getByText("Running").waitFor();
  await page.getByRole("link", { name: /^Fine-tunings.*1.*1 running/ }).waitFor();
  job = "succeeded";
  await (await fetch(`${path}/ftjob-planted`, { headers })).text();
  await row("ftjob-planted").getByText("Succeeded").waitFor();
  await row("ftjob-planted").getByText("2.1M").waitFor();
  await shot("deployments");
});

test("numbers open the log they count, and another paid model is asked in the address", async () => {
  await page.getByLabel("versus").fill("openai/nobody-knows");
  await page.getByRole("button", { name: "Compare" }).click();
  await page.waitForURL(/versus=openai/);
  await row("studio").getByText("1 have no price there").waitFor();
  await row("studio").getByRole("link", { name: "1", exact: true }).click();
  await page.waitForURL(/\/requests\?.*provider=vllm/);
  assert.equal(new URL(page.url()).searchParams.get("model"), MARKUP);
  await page.goBack();
  await row("studio").waitFor();
});

for (const theme of ["light", "dark"]) {
  test(`the page breaks no rule of accessibility while one is edited, ${theme}`, async () => {
    await page.emulateMedia({ colorScheme: theme });
    await row("studio").getByRole("button", { name: "Edit studio" }).click();
    await page.addScriptTag({ content: AXE }).catch(() => page.evaluate(AXE));
    const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
    assert.deepEqual(violations.map((one) => [one.id, one.nodes.map((node) => node.target.join())]), []);
    await shot(`deployments-${theme}`);
    await page.getByRole("form", { name: "Edit studio" }).getByRole("button", { name: "Cancel" }).click();
  });
}

test("a narrow screen holds it, and a declaration is taken back", async () => {
  await page.setViewportSize({ width: 360, height: 740 });
  await shot("deployments-narrow");
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
  await page.setViewportSize({ width: 1440, height: 900 });
  await row("studio").getByRole("button", { name: "Remove studio" }).click();
  await page.getByText("“studio” is no longer declared.").waitFor();
  await row("vllm/<img").waitFor();
  assert.equal(listed().deployments[0].declared, null);
  assert.deepEqual(errors, []);
});
