// The providers' own Node SDKs through whatever stands at the base URL.
//
//     node run.mjs openai|anthropic BASE_URL ['{"header": "value"}']
//
// Asserts what the SDK hands to its user and prints one JSON line for each call, for the
// receipts to be compared with. The upstream is the stand-in, told what to play by header.

import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

const TEXT = 'Hello world, 世界 🚪 "quoted\\"';
const WEATHER = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const HELLO = [{ role: "user", content: "say hello" }];

const note = (name, what = {}) => console.log(JSON.stringify({ case: name, ...what }));
const play = (words) => ({ headers: { "x-standin": words } });

async function all(stream) {
  const items = [];
  for await (const item of stream) items.push(item);
  return items;
}

async function refused(status, call) {
  await assert.rejects(call, (error) => error.status === status && /stand-in/.test(error.message));
  note("error", { status });
}

async function openai(base, defaultHeaders) {
  const client = new OpenAI({ baseURL: `${base}/v1`, apiKey: "sk-planted-openai", maxRetries: 0, defaultHeaders });
  const ask = { model: "standin", messages: HELLO };

  const whole = await client.chat.completions.create(ask);
  assert.equal(whole.choices[0].message.content, TEXT);
  note("chat", { id: whole.id });

  let chunks = await all(await client.chat.completions.create({ ...ask, stream: true }));
  assert.equal(chunks.map((c) => c.choices[0].delta.content ?? "").join(""), TEXT); // breaks on a usage chunk
  note("chat stream, usage not asked", { id: chunks[0].id });

  chunks = await all(
    await client.chat.completions.create({ ...ask, stream: true, stream_options: { include_usage: true } }),
  );
  assert.ok(chunks.at(-1).usage.prompt_tokens > 900);
  note("chat stream, usage asked", { id: chunks[0].id });

  const tools = [{ type: "function", function: { name: "weather", parameters: WEATHER } }];
  const called = await client.chat.completions.create({ ...ask, tools }, play("tool"));
  const [call] = called.choices[0].message.tool_calls;
  assert.deepEqual(JSON.parse(call.function.arguments), { city: "Paris" });
  note("chat tool", { id: called.id });
  const turns = [...HELLO, called.choices[0].message, { role: "tool", tool_call_id: call.id, content: "sunny" }];
  const after = await client.chat.completions.create({ model: "standin", messages: turns, tools }, play("tool"));
  assert.equal(after.choices[0].message.content, TEXT);
  note("chat tool result", { id: after.id });

  const events = await all(await client.responses.create({ model: "standin", input: "say hello", stream: true }));
  assert.equal(events.at(-1).type, "response.completed");
  note("response stream", { id: events.at(-1).response.id });
  const answer = await client.responses.create({ model: "standin", input: "say hello" });
  assert.equal(answer.output_text, TEXT);
  note("response", { id: answer.id });

  for (const status of [400, 401, 429, 500]) {
    await refused(status, client.chat.completions.create(ask, play(`status=${status}`)));
  }

  const stream = await client.chat.completions.create({ ...ask, stream: true }, play("endless;delay=5"));
  let at = 0;
  for await (const _ of stream) if (++at === 4) stream.controller.abort();
  note("cancel");
}

async function anthropic(base, defaultHeaders) {
  const client = new Anthropic({ baseURL: base, apiKey: "sk-planted-anthropic", maxRetries: 0, defaultHeaders });
  const ask = { model: "standin", max_tokens: 64, messages: HELLO };

  const whole = await client.messages.create(ask);
  assert.equal(whole.content[0].text, TEXT);
  note("message", { id: whole.id });

  const final = await client.messages.stream(ask).finalMessage();
  assert.equal(final.content[0].text, TEXT);
  note("message stream", { id: final.id });

  const tools = [{ name: "weather", description: "Tells it", input_schema: WEATHER }];
  const called = await client.messages.create({ ...ask, tools }, play("tool"));
  assert.deepEqual(called.content[0].input, { city: "Paris" });
  note("message tool", { id: called.id });
  const result = { type: "tool_result", tool_use_id: called.content[0].id, content: "sunny" };
  const turns = [...HELLO, { role: "assistant", content: called.content }, { role: "user", content: [result] }];
  const after = await client.messages.create({ ...ask, messages: turns, tools }, play("tool"));
  assert.equal(after.content[0].text, TEXT);
  note("message tool result", { id: after.id });

  const counted = await client.messages.countTokens({ model: "standin", messages: HELLO });
  assert.ok(counted.input_tokens > 900);
  note("count");

  for (const status of [400, 401, 429, 529]) {
    await refused(status, client.messages.create(ask, play(`status=${status}`)));
  }

  const stream = await client.messages.create({ ...ask, stream: true }, play("endless;delay=5"));
  let at = 0;
  for await (const _ of stream) if (++at === 6) stream.controller.abort();
  note("cancel");
}

const [which, base, headers = "{}"] = process.argv.slice(2);
await { openai, anthropic }[which](base, JSON.parse(headers));
