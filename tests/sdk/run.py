"""The providers' own Python SDKs through whatever stands at the base URL.

    python run.py openai|anthropic|gemini BASE_URL [default headers as JSON]

Asserts what the SDK hands to its user and prints one JSON line for each call, for the
receipts to be compared with. The upstream is the stand-in, told what to play by header.
"""

import json
import sys

WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}
TEXT = 'Hello world, 世界 🚪 "quoted\\"'


def note(case, **what):
    print(json.dumps({"case": case, **what}), flush=True)


def play(words):
    return {"extra_headers": {"x-standin": words}}


def run_openai(base, headers):
    import openai

    client = openai.OpenAI(
        base_url=f"{base}/v1", api_key="sk-planted-openai", max_retries=0, default_headers=headers
    )
    ask = {"model": "standin", "messages": [{"role": "user", "content": "say hello"}]}

    whole = client.chat.completions.create(**ask)
    assert whole.choices[0].message.content == TEXT, whole
    note("chat", id=whole.id, output=whole.usage.completion_tokens)

    chunks = list(client.chat.completions.create(**ask, stream=True))
    text = "".join(c.choices[0].delta.content or "" for c in chunks)  # breaks on a usage chunk
    assert text == TEXT and not any(c.usage for c in chunks), chunks
    note("chat stream, usage not asked", id=chunks[0].id)

    chunks = list(
        client.chat.completions.create(**ask, stream=True, stream_options={"include_usage": True})
    )
    assert chunks[-1].choices == [] and chunks[-1].usage.prompt_tokens > 900, chunks[-1]
    note("chat stream, usage asked", id=chunks[0].id, output=chunks[-1].usage.completion_tokens)

    tool = {"type": "function", "function": {"name": "weather", "parameters": WEATHER}}
    called = client.chat.completions.create(**ask, tools=[tool], **play("tool"))
    call = called.choices[0].message.tool_calls[0]
    assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"city": "Paris"})
    note("chat tool", id=called.id)
    turns = ask["messages"] + [
        called.choices[0].message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": "sunny"},
    ]
    after = client.chat.completions.create(
        model="standin", messages=turns, tools=[tool], **play("tool")
    )
    assert after.choices[0].message.content == TEXT
    note("chat tool result", id=after.id)

    legacy = client.completions.create(model="standin", prompt="say hello")
    assert legacy.choices[0].text == TEXT
    note("completion", id=legacy.id)

    vectors = client.embeddings.create(model="standin", input="say hello")
    assert vectors.data[0].embedding == [0.5, -0.25, 1.0], vectors
    note("embeddings", input=vectors.usage.prompt_tokens)

    answer = client.responses.create(model="standin", input="say hello")
    assert answer.output_text == TEXT
    note("response", id=answer.id)

    events = list(client.responses.create(model="standin", input="say hello", stream=True))
    assert events[-1].type == "response.completed"
    assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == TEXT
    note("response stream", id=events[-1].response.id)

    flat = {"type": "function", "name": "weather", "parameters": WEATHER, "strict": False}
    answer = client.responses.create(model="standin", input="hi", tools=[flat], **play("tool"))
    assert answer.output[0].name == "weather"
    note("response tool", id=answer.id)

    assert [m.id for m in client.models.list()] == ["standin"]
    note("models")

    for status, kind in [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
    ]:
        try:
            client.chat.completions.create(**ask, **play(f"status={status}"))
        except kind as error:
            assert error.status_code == status and "stand-in" in error.message
            note("error", status=status)
        else:
            raise AssertionError(f"no error for {status}")

    retrying = client.with_options(max_retries=2)
    try:
        retrying.chat.completions.create(**ask, **play("status=500"))
    except openai.InternalServerError:
        note("error after two retries", status=500)

    stream = client.chat.completions.create(**ask, stream=True, **play("endless;delay=5"))
    for at, _ in enumerate(stream):
        if at == 3:
            stream.close()
            break
    note("cancel")


def run_anthropic(base, headers):
    import anthropic

    client = anthropic.Anthropic(
        base_url=base, api_key="sk-planted-anthropic", max_retries=0, default_headers=headers
    )
    ask = {
        "model": "standin",
        "max_tokens": 64,
        "messages": [{"role": "user", "content": "say hello"}],
    }
    whole = client.messages.create(**ask)
    assert whole.content[0].text == TEXT
    note("message", id=whole.id, output=whole.usage.output_tokens)

    with client.messages.stream(**ask) as stream:
        assert "".join(stream.text_stream) == TEXT
        final = stream.get_final_message()
    assert final.usage.cache_read_input_tokens == 200
    note("message stream", id=final.id, output=final.usage.output_tokens)

    events = list(client.messages.create(**ask, stream=True))
    assert events[-1].type == "message_stop"
    note("message events", id=events[0].message.id)

    tool = {"name": "weather", "description": "Tells it", "input_schema": WEATHER}
    called = client.messages.create(**ask, tools=[tool], **play("tool"))
    assert called.stop_reason == "tool_use" and called.content[0].input == {"city": "Paris"}
    note("message tool", id=called.id)
    result = {"type": "tool_result", "tool_use_id": called.content[0].id, "content": "sunny"}
    turns = ask["messages"] + [
        {"role": "assistant", "content": [b.model_dump(exclude_none=True) for b in called.content]},
        {"role": "user", "content": [result]},
    ]
    after = client.messages.create(**{**ask, "messages": turns}, tools=[tool], **play("tool"))
    assert after.content[0].text == TEXT
    note("message tool result", id=after.id)

    with client.messages.stream(**ask, tools=[tool], **play("tool")) as stream:
        final = stream.get_final_message()
    assert final.content[0].input == {"city": "Paris"}
    note("message tool stream", id=final.id)

    counted = client.messages.count_tokens(model="standin", messages=ask["messages"])
    assert counted.input_tokens > 900
    note("count")

    for status, kind in [
        (400, anthropic.BadRequestError),
        (401, anthropic.AuthenticationError),
        (429, anthropic.RateLimitError),
        (529, anthropic.APIStatusError),
    ]:
        try:
            client.messages.create(**ask, **play(f"status={status}"))
        except kind as error:
            assert error.status_code == status and "stand-in" in error.message
            note("error", status=status)
        else:
            raise AssertionError(f"no error for {status}")

    try:
        list(client.messages.create(**ask, stream=True, **play("fail=5")))
    except anthropic.APIStatusError as error:
        assert "Overloaded" in error.message, error
        note("error in the stream")
    else:
        raise AssertionError("an error event passed unnoticed")

    stream = client.messages.create(**ask, stream=True, **play("endless;delay=5"))
    for at, _ in enumerate(stream):
        if at == 6:
            stream.close()
            break
    note("cancel")


def run_gemini(base, headers):
    from google import genai
    from google.genai import errors, types

    def options(words=None):
        played = {"x-standin": words} if words else {}
        return types.HttpOptions(base_url=base, headers={**headers, **played})

    client = genai.Client(api_key="planted-gemini", http_options=options())
    ask = {"model": "standin", "contents": "say hello"}

    whole = client.models.generate_content(**ask)
    assert whole.text == TEXT
    note("generate", id=whole.response_id, output=whole.usage_metadata.candidates_token_count)

    chunks = list(client.models.generate_content_stream(**ask))
    assert "".join(c.text or "" for c in chunks) == TEXT
    note("generate stream", id=chunks[-1].response_id)

    declared = types.FunctionDeclaration(
        name="weather", description="Tells it", parameters_json_schema=WEATHER
    )
    config = types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=[declared])], http_options=options("tool")
    )
    called = client.models.generate_content(**ask, config=config)
    assert called.function_calls[0].args == {"city": "Paris"}
    note("generate tool", id=called.response_id)
    result = types.Part.from_function_response(name="weather", response={"sky": "blue"})
    turns = [
        types.Content(role="user", parts=[types.Part(text="say hello")]),
        called.candidates[0].content,
        types.Content(role="user", parts=[result]),
    ]
    after = client.models.generate_content(model="standin", contents=turns, config=config)
    assert after.text == TEXT
    note("generate tool result", id=after.response_id)

    assert client.models.count_tokens(**ask).total_tokens > 900
    note("count")

    for status in (400, 429, 500):
        failing = types.GenerateContentConfig(http_options=options(f"status={status}"))
        try:
            client.models.generate_content(**ask, config=failing)
        except errors.APIError as error:
            assert error.code == status and "stand-in" in error.message
            note("error", status=status)
        else:
            raise AssertionError(f"no error for {status}")

    endless = types.GenerateContentConfig(http_options=options("endless;delay=5"))
    stream = client.models.generate_content_stream(**ask, config=endless)
    for at, _ in enumerate(stream):
        if at == 3:
            stream.close()
            break
    note("cancel")


if __name__ == "__main__":
    which, base = sys.argv[1:3]
    extra = json.loads(sys.argv[3]) if len(sys.argv) > 3 else {}
    {"openai": run_openai, "anthropic": run_anthropic, "gemini": run_gemini}[which](base, extra)
