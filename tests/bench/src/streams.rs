//! Streams in the shape of each format, as long as wanted, for measuring what reads them.

use meter::format::Format;

/// A stream of one format: how it begins, what repeats, how it ends.
pub(crate) struct Shape {
    /// The row's title.
    pub(crate) name: &'static str,
    pub(crate) format: Format,
    pub(crate) content_type: &'static str,
    start: &'static str,
    /// `@` stands for the text, `#` for the chunk's number. Of binary frames each line is one:
    /// its event type, a space, its payload.
    chunk: &'static str,
    end: &'static str,
}

const EVENTS: &str = "text/event-stream";
const FRAMES: &str = "application/vnd.amazon.eventstream";

/// One of each framing and format; texts and names as long as they are in real traffic.
pub(crate) const SHAPES: [Shape; 10] = [
    Shape {
        name: "openai-chat",
        format: Format::OpenaiChat,
        content_type: EVENTS,
        start: concat!(
            r#"data: {"id":"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT","object":"chat.completion.chunk","created":1790000000,"model":"gpt-4o-mini-2024-07-18","service_tier":"default","system_fingerprint":"fp_06737a9306","choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}],"obfuscation":"n1"}"#,
            "\n\n"
        ),
        chunk: concat!(
            r#"data: {"id":"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT","object":"chat.completion.chunk","created":1790000000,"model":"gpt-4o-mini-2024-07-18","service_tier":"default","system_fingerprint":"fp_06737a9306","choices":[{"index":0,"delta":{"content":"@"},"logprobs":null,"finish_reason":null}],"obfuscation":"Ab3xQz"}"#,
            "\n\n"
        ),
        end: concat!(
            r#"data: {"id":"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT","object":"chat.completion.chunk","created":1790000000,"model":"gpt-4o-mini-2024-07-18","service_tier":"default","system_fingerprint":"fp_06737a9306","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]}"#,
            "\n\n",
            r#"data: {"id":"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT","object":"chat.completion.chunk","created":1790000000,"model":"gpt-4o-mini-2024-07-18","choices":[],"usage":{"prompt_tokens":120,"completion_tokens":200,"total_tokens":320,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0}}}"#,
            "\n\ndata: [DONE]\n\n"
        ),
    },
    Shape {
        name: "openai-responses",
        format: Format::OpenaiResponses,
        content_type: EVENTS,
        start: concat!(
            "event: response.created\n",
            r#"data: {"type":"response.created","sequence_number":0,"response":{"id":"resp_68a1c2","object":"response","created_at":1790000000,"status":"in_progress","model":"gpt-5.6","output":[],"usage":null}}"#,
            "\n\n"
        ),
        chunk: concat!(
            "event: response.output_text.delta\n",
            r#"data: {"type":"response.output_text.delta","sequence_number":7,"item_id":"msg_68a1c2d3e4f5060708090a0b0c0d0e0f","output_index":0,"content_index":0,"delta":"@","logprobs":[],"obfuscation":"Ab3xQzW0pL"}"#,
            "\n\n"
        ),
        end: concat!(
            "event: response.completed\n",
            r#"data: {"type":"response.completed","sequence_number":208,"response":{"id":"resp_68a1c2","object":"response","status":"completed","model":"gpt-5.6","output":[],"service_tier":"default","usage":{"input_tokens":120,"input_tokens_details":{"cached_tokens":0},"output_tokens":200,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":320}}}"#,
            "\n\n"
        ),
    },
    Shape {
        name: "anthropic-messages",
        format: Format::AnthropicMessages,
        content_type: EVENTS,
        start: concat!(
            "event: message_start\n",
            r#"data: {"type":"message_start","message":{"id":"msg_01XFDUDYJgAACzvnptvVoYEL","type":"message","role":"assistant","model":"claude-sonnet-4-5","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":120,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":1}}}"#,
            "\n\nevent: content_block_start\n",
            r#"data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
            "\n\n"
        ),
        chunk: concat!(
            "event: content_block_delta\n",
            r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"@"}}"#,
            "\n\n"
        ),
        end: concat!(
            "event: content_block_stop\n",
            r#"data: {"type":"content_block_stop","index":0}"#,
            "\n\nevent: message_delta\n",
            r#"data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":200}}"#,
            "\n\nevent: message_stop\n",
            r#"data: {"type":"message_stop"}"#,
            "\n\n"
        ),
    },
    Shape {
        name: "gemini-generate, events",
        format: Format::GeminiGenerate,
        content_type: EVENTS,
        start: "",
        chunk: concat!(
            r#"data: {"candidates": [{"content": {"parts": [{"text": "@"}],"role": "model"},"index": 0}],"usageMetadata": {"promptTokenCount": 120,"candidatesTokenCount": #,"totalTokenCount": 320,"promptTokensDetails": [{"modality": "TEXT","tokenCount": 120}]},"modelVersion": "gemini-3-flash","responseId": "Zk9nab"}"#,
            "\r\n\r\n"
        ),
        end: concat!(
            r#"data: {"candidates": [{"content": {"parts": [{"text": "."}],"role": "model"},"finishReason": "STOP","index": 0}],"usageMetadata": {"promptTokenCount": 120,"candidatesTokenCount": 200,"totalTokenCount": 320,"promptTokensDetails": [{"modality": "TEXT","tokenCount": 120}]},"modelVersion": "gemini-3-flash","responseId": "Zk9nab"}"#,
            "\r\n\r\n"
        ),
    },
    Shape {
        name: "gemini-generate, array",
        format: Format::GeminiGenerate,
        content_type: "application/json",
        start: "[",
        chunk: concat!(
            r#"{"candidates": [{"content": {"parts": [{"text": "@"}],"role": "model"},"index": 0}],"usageMetadata": {"promptTokenCount": 120,"candidatesTokenCount": #,"totalTokenCount": 320,"promptTokensDetails": [{"modality": "TEXT","tokenCount": 120}]},"modelVersion": "gemini-3-flash","responseId": "Zk9nab"}"#,
            "\r\n,\r\n"
        ),
        end: concat!(
            r#"{"candidates": [{"content": {"parts": [{"text": "."}],"role": "model"},"finishReason": "STOP","index": 0}],"usageMetadata": {"promptTokenCount": 120,"candidatesTokenCount": 200,"totalTokenCount": 320},"modelVersion": "gemini-3-flash","responseId": "Zk9nab"}"#,
            "\r\n]"
        ),
    },
    Shape {
        name: "ollama-native",
        format: Format::Ollama,
        content_type: "application/x-ndjson",
        start: "",
        chunk: concat!(
            r#"{"model":"llama3.2","created_at":"2026-11-20T10:00:00.123456789Z","message":{"role":"assistant","content":"@"},"done":false}"#,
            "\n"
        ),
        end: concat!(
            r#"{"model":"llama3.2","created_at":"2026-11-20T10:00:01.123456789Z","message":{"role":"assistant","content":""},"done_reason":"stop","done":true,"total_duration":4883583458,"load_duration":1334875,"prompt_eval_count":120,"prompt_eval_duration":342546000,"eval_count":200,"eval_duration":4535599000}"#,
            "\n"
        ),
    },
    Shape {
        name: "mistral-chat",
        format: Format::OpenaiChat,
        content_type: EVENTS,
        start: concat!(
            r#"data: {"id":"6c1f0b7a9d3e4f21b0c5a8d7e6f40312","object":"chat.completion.chunk","created":1790000000,"model":"mistral-large-latest","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#,
            "\n\n"
        ),
        chunk: concat!(
            r#"data: {"id":"6c1f0b7a9d3e4f21b0c5a8d7e6f40312","object":"chat.completion.chunk","created":1790000000,"model":"mistral-large-latest","choices":[{"index":0,"delta":{"content":"@"},"finish_reason":null}],"p":"abcdefghij"}"#,
            "\n\n"
        ),
        end: concat!(
            r#"data: {"id":"6c1f0b7a9d3e4f21b0c5a8d7e6f40312","object":"chat.completion.chunk","created":1790000000,"model":"mistral-large-latest","choices":[{"index":0,"delta":{"content":""},"finish_reason":"stop"}],"usage":{"prompt_tokens":120,"completion_tokens":200,"total_tokens":320,"num_cached_tokens":0}}"#,
            "\n\ndata: [DONE]\n\n"
        ),
    },
    Shape {
        name: "cohere-chat",
        format: Format::CohereChat,
        content_type: EVENTS,
        start: concat!(
            "event: message-start\n",
            r#"data: {"id":"29f14a5a-11de-4cae-9800-25e4747408ea","type":"message-start","delta":{"message":{"role":"assistant","content":[],"tool_plan":"","tool_calls":[],"citations":[]}}}"#,
            "\n\nevent: content-start\n",
            r#"data: {"type":"content-start","index":0,"delta":{"message":{"content":{"type":"text","text":""}}}}"#,
            "\n\n"
        ),
        chunk: concat!(
            "event: content-delta\n",
            r#"data: {"type":"content-delta","index":0,"delta":{"message":{"content":{"text":"@"}}}}"#,
            "\n\n"
        ),
        end: concat!(
            "event: content-end\n",
            r#"data: {"type":"content-end","index":0}"#,
            "\n\nevent: message-end\n",
            r#"data: {"type":"message-end","delta":{"finish_reason":"COMPLETE","usage":{"billed_units":{"input_tokens":120,"output_tokens":200},"tokens":{"input_tokens":180,"output_tokens":202},"cached_tokens":0}}}"#,
            "\n\ndata: [DONE]\n\n"
        ),
    },
    Shape {
        name: "dashscope",
        format: Format::Dashscope,
        content_type: EVENTS,
        start: "",
        chunk: concat!(
            "id:#\nevent:result\n:HTTP_STATUS/200\n",
            r#"data:{"output":{"choices":[{"message":{"content":"@","role":"assistant"},"finish_reason":"null"}]},"usage":{"total_tokens":320,"input_tokens":120,"output_tokens":#},"request_id":"ea8dbf8a-3b1e-9e4f-a8f3-1c6d1b2f0a57"}"#,
            "\n\n"
        ),
        end: concat!(
            "id:999\nevent:result\n:HTTP_STATUS/200\n",
            r#"data:{"output":{"choices":[{"message":{"content":"","role":"assistant"},"finish_reason":"stop"}]},"usage":{"total_tokens":320,"input_tokens":120,"output_tokens":200},"request_id":"ea8dbf8a-3b1e-9e4f-a8f3-1c6d1b2f0a57"}"#,
            "\n\n"
        ),
    },
    Shape {
        name: "bedrock-converse",
        format: Format::BedrockConverse,
        content_type: FRAMES,
        start: r#"messageStart {"p":"abcdefgh","role":"assistant"}"#,
        chunk: r#"contentBlockDelta {"contentBlockIndex":0,"delta":{"text":"@"},"p":"abcdefghijklmno"}"#,
        end: concat!(
            r#"contentBlockStop {"contentBlockIndex":0,"p":"abc"}"#,
            "\n",
            r#"messageStop {"p":"abcdefg","stopReason":"end_turn"}"#,
            "\n",
            r#"metadata {"metrics":{"latencyMs":900},"p":"abcde","usage":{"inputTokens":120,"outputTokens":200,"totalTokens":320,"cacheReadInputTokens":0,"cacheWriteInputTokens":0}}"#
        ),
    },
];

/// About what one token's text is.
const TEXT: &str = " words";

impl Shape {
    /// The stream's pieces as they arrive: `chunks` of content between its beginning and its end.
    pub(crate) fn pieces(&self, chunks: usize) -> Vec<Vec<u8>> {
        let chunk = self.chunk.replace('@', TEXT);
        let start = std::iter::once(self.wire(self.start));
        let content =
            (1..=chunks).map(|number| self.wire(&chunk.replace('#', &number.to_string())));
        start.chain(content).chain([self.wire(self.end)]).collect()
    }

    /// A part as it goes over the wire.
    fn wire(&self, part: &str) -> Vec<u8> {
        if self.content_type != FRAMES {
            return part.as_bytes().to_vec();
        }
        part.lines()
            .filter_map(|line| line.split_once(' '))
            .flat_map(|(event, json)| frame(event, json))
            .collect()
    }

    /// At least `length` bytes of it, in pieces as a busy socket gives them.
    pub(crate) fn of_length(&self, length: usize) -> Vec<Vec<u8>> {
        let chunk = self.wire(&self.chunk.replace('@', TEXT)).len();
        self.pieces(length.div_ceil(chunk)).concat().chunks(16 * 1024).map(<[u8]>::to_vec).collect()
    }
}

/// A frame of the AWS event stream
/// (smithy.io/2.0/aws/amazon-eventstream.html, read 2026-11-20).
fn frame(event: &str, json: &str) -> Vec<u8> {
    let headers: Vec<u8> =
        [(":event-type", event), (":content-type", "application/json"), (":message-type", "event")]
            .into_iter()
            .flat_map(|(name, value)| string_header(name, value))
            .collect();
    let total = 16 + headers.len() + json.len();
    let mut frame: Vec<u8> = [total, headers.len()]
        .into_iter()
        .flat_map(|length| (length as u32).to_be_bytes())
        .collect();
    frame.extend(crc32fast::hash(&frame).to_be_bytes());
    frame.extend(headers);
    frame.extend_from_slice(json.as_bytes());
    frame.extend(crc32fast::hash(&frame).to_be_bytes());
    frame
}

/// Kind 7 is a string; its length takes two bytes, the name's one.
fn string_header(name: &str, value: &str) -> Vec<u8> {
    let mut header = vec![name.len() as u8];
    header.extend_from_slice(name.as_bytes());
    header.push(7);
    header.extend((value.len() as u16).to_be_bytes());
    header.extend_from_slice(value.as_bytes());
    header
}
