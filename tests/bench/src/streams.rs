//! Streams in the shape of each format, as long as wanted, for measuring what reads them.

use meter::format::Format;

/// A stream of one format: how it begins, what repeats, how it ends.
pub(crate) struct Shape {
    /// The row's title.
    pub(crate) name: &'static str,
    pub(crate) format: Format,
    pub(crate) content_type: &'static str,
    start: &'static str,
    /// `@` stands for the text.
    chunk: &'static str,
    end: &'static str,
}

const EVENTS: &str = "text/event-stream";

/// One of each framing and format; texts and names as long as they are in real traffic.
pub(crate) const SHAPES: [Shape; 6] = [
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
            r#"data: {"candidates": [{"content": {"parts": [{"text": "@"}],"role": "model"},"index": 0}],"usageMetadata": {"promptTokenCount": 120,"candidatesTokenCount": 7,"totalTokenCount": 127,"promptTokensDetails": [{"modality": "TEXT","tokenCount": 120}]},"modelVersion": "gemini-3-flash","responseId": "Zk9nab"}"#,
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
            r#"{"candidates": [{"content": {"parts": [{"text": "@"}],"role": "model"},"index": 0}],"usageMetadata": {"promptTokenCount": 120,"candidatesTokenCount": 7,"totalTokenCount": 127,"promptTokensDetails": [{"modality": "TEXT","tokenCount": 120}]},"modelVersion": "gemini-3-flash","responseId": "Zk9nab"}"#,
            "\r\n,\r\n"
        ),
        end: concat!(
            r#"{"candidates": [{"content": {"parts": [{"text": "."}],"role": "model"},"finishReason": "STOP","index": 0}],"usageMetadata": {"promptTokenCount": 120,"candidatesTokenCount": 200,"totalTokenCount": 320},"modelVersion": "gemini-3-flash","responseId": "Zk9nab"}"#,
            "\r\n]"
        ),
    },
    Shape {
        name: "ollama",
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
];

/// About what one token's text is.
const TEXT: &str = " words";

impl Shape {
    /// The stream's pieces as they arrive: `chunks` of content between its beginning and its end.
    pub(crate) fn pieces(&self, chunks: usize) -> Vec<Vec<u8>> {
        let chunk = self.chunk.replace('@', TEXT).into_bytes();
        let start = std::iter::once(self.start.as_bytes().to_vec());
        let content = std::iter::repeat_n(chunk, chunks);
        start.chain(content).chain([self.end.as_bytes().to_vec()]).collect()
    }

    /// At least `length` bytes of it, in pieces as a busy socket gives them.
    pub(crate) fn of_length(&self, length: usize) -> Vec<Vec<u8>> {
        let chunks = length.div_ceil(self.chunk.len() + TEXT.len() - 1);
        self.pieces(chunks).concat().chunks(16 * 1024).map(<[u8]>::to_vec).collect()
    }
}
