// How smoothly the log of a million requests scrolls, by the browser's own trace.
import { chromium } from "playwright-core";
import { start } from "./gate.mjs";

const SECONDS = 8;
const gate = await start(() => ({ input: 1, cached: 0, output: 1 }), Number(process.env.RECEIPTS ?? 1_000_000));
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
try {
  const page = await (await browser.newContext({ viewport: { width: 1440, height: 900 } })).newPage();
  await page.goto(gate.pages);
  const client = await page.context().newCDPSession(page);
  const traced = async (what) => {
    const events = [];
    client.on("Tracing.dataCollected", ({ value }) => events.push(...value));
    const done = new Promise((resolve) => client.once("Tracing.tracingComplete", resolve));
    await client.send("Tracing.start", { transferMode: "ReportEvents", traceConfig: { includedCategories: ["disabled-by-default-devtools.timeline.frame"] } });
    await what();
    await client.send("Tracing.end");
    await done;
    client.removeAllListeners("Tracing.dataCollected");
    const times = events.filter(({ name }) => name === "DrawFrame").map(({ ts }) => ts).sort((a, b) => a - b);
    const gaps = times.slice(1).map((at, before) => (at - times[before]) / 1000).sort((a, b) => a - b);
    const dropped = events.filter(({ name }) => name === "DroppedFrame").length;
    const spent = (times.at(-1) - times[0]) / 1e6;
    return { fps: (times.length - 1) / spent, dropped, drawn: times.length, p95: gaps[Math.floor(gaps.length * 0.95)] };
  };
  const still = `<div style="height:400000px;background:repeating-linear-gradient(#eee 0 30px,#fff 30px 60px)"></div>`;
  const scroll = (speed) => () => client.send("Input.synthesizeScrollGesture", { x: 700, y: 500, yDistance: -speed * SECONDS, speed, gestureSourceType: "mouse" });
  const rows = [];
  const say = (name, { fps, dropped, drawn, p95 }, extra = "") => rows.push({ name, "frames a second": fps.toFixed(1), drawn, dropped, "95 % of gaps, ms": p95.toFixed(1), extra });
  await page.getByRole("heading", { name: "Activity" }).waitFor();
  await page.goto("about:blank");
  await page.setContent(still);
  say("baseline: an empty page, 2,000 px a second", await traced(scroll(2000)));
  for (const speed of [1000, 2000, 8000]) {
    await page.goto(`${gate.origin}/requests?range=all`);
    await page.locator("tbody tr[aria-rowindex]").first().waitFor();
    const taken = await traced(scroll(speed));
    const last = await page.locator("tbody tr[aria-rowindex]").last().getAttribute("aria-rowindex");
    say(`the log, ${speed.toLocaleString("en")} px a second`, taken, `down to row ${last}`);
  }
  console.table(rows);
} finally {
  await browser.close();
  await gate.stop();
}
