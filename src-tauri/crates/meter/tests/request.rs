//! What is read from requests, however their bodies are split.

use meter::provider::Providers;
use meter::receipt::Capability::{
    self, AudioInput, AudioOutput, Background, CodeExecution, Documents, PromptCaching, Reasoning,
    StructuredOutputs, Tools, Vision, WebSearch,
};
use meter::request::{Asked, RequestScanner, TextCount};
use proptest::prelude::*;

fn scanner(path: &str, content_type: &str) -> RequestScanner {
    let route = Providers::built_in().get("openai").expect("it is built in").route("POST", path);
    RequestScanner::new(&route, Some(content_type))
}

fn read(path: &str, body: &[u8]) -> Asked {
    let mut scanner = scanner(path, "application/json");
    scanner.push(body);
    scanner.finish();
    scanner.asked().clone()
}

fn read_in_pieces(path: &str, content_type: &str, body: &[u8], ends: &[usize]) -> Asked {
    let mut scanner = scanner(path, content_type);
    let mut from = 0;
    for end in ends.iter().map(|end| end % (body.len() + 1)).filter(|end| *end > 0) {
        scanner.push(&body[from..end.max(from)]);
        from = end.max(from);
    }
    scanner.push(&body[from..]);
    scanner.finish();
    scanner.asked().clone()
}

fn chat(body: &str) -> Asked {
    read("/v1/chat/completions", body.as_bytes())
}

fn capabilities(body: &str) -> Vec<Capability> {
    let mut all = chat(body).capabilities;
    all.sort();
    all
}

#[test]
fn the_model_is_found_behind_five_megabytes_of_messages() {
    let long = "x\\\"{[".repeat(1_000_000);
    let body = format!(
        r#"{{"messages":[{{"role":"user","content":"{long}","model":"wrong"}}],
            "metadata":{{"model":"wrong","stream":true}},"stream":false,"model":"right"}}"#
    );
    let asked = chat(&body);
    assert_eq!(asked.model.as_deref(), Some("right"));
    assert!(asked.is_complete_object && !asked.stream && !asked.has_stream_options);
    assert_eq!(asked.text, TextCount { spaced: 4_000_000, dense: 0 });
}

#[test]
fn flags_are_read_at_the_top_only() {
    let asked = chat(
        r#"{"model":"m\u002d1","stream":true,"stream_options":null,"service_tier":"flex",
            "background":true,"previous_response_id":"r1","input":[{"stream":false}]}"#,
    );
    assert_eq!(asked.model.as_deref(), Some("m-1"));
    assert_eq!(asked.service_tier.as_deref(), Some("flex"));
    assert!(asked.stream && asked.has_stream_options && asked.is_background);
    assert!(asked.has_remote_history);
    assert_eq!(asked.capabilities, [Background]);
    assert!(!chat(r#"{"previous_response_id":null,"conversation":null}"#).has_remote_history);
    assert!(chat(r#"{"prompt":{"id":"p1"}}"#).has_remote_history);
}

#[test]
fn whether_it_streams_is_told_by_path_format_or_flag() {
    let streams = |path: &str, body: &str| read(path, body.as_bytes()).stream;
    assert!(streams("/v1beta/models/m:streamGenerateContent", "{}"));
    assert!(!streams("/v1beta/models/m:generateContent", "{}"));
    assert!(streams("/model/m/invoke-with-response-stream", "{}"));
    assert!(streams("/api/chat", "{}") && !streams("/api/chat", r#"{"stream":false}"#));
    assert!(!streams("/api/embed", "{}"));
    assert_eq!(
        read("/v1beta/models/m:generateContent", br#"{"model":"other"}"#).model.as_deref(),
        Some("m")
    );
}

#[test]
fn what_a_request_exercises_is_told_by_its_shapes() {
    let table: &[(&str, &[Capability])] = &[
        (r#"{"tools":[]}"#, &[]),
        (r#"{"tools":[{"type":"function","function":{"name":"image"}}]}"#, &[Tools]),
        (r#"{"tools":[{"type":"web_search_20250305","name":"w"}]}"#, &[Tools, WebSearch]),
        (
            r#"{"tools":[{"googleSearch":{}},{"codeExecution":{}}]}"#,
            &[Tools, WebSearch, CodeExecution],
        ),
        (
            r#"{"tools":[{"name":"t","input_schema":{"properties":{"document":{"type":"image"}}}}]}"#,
            &[Tools],
        ),
        (r#"{"web_search_options":{}}"#, &[WebSearch]),
        (r#"{"response_format":{"type":"json_schema","json_schema":{}}}"#, &[StructuredOutputs]),
        (r#"{"response_format":{"type":"text"}}"#, &[]),
        (r#"{"text":{"format":{"type":"json_schema"}}}"#, &[StructuredOutputs]),
        (r#"{"generationConfig":{"responseSchema":{}}}"#, &[StructuredOutputs]),
        (r#"{"format":"json"}"#, &[StructuredOutputs]),
        (
            r#"{"messages":[{"content":[{"type":"image_url","image_url":{"url":"data:xx"}}]}]}"#,
            &[Vision],
        ),
        (r#"{"messages":[{"content":"hi","images":["aGk="]}]}"#, &[Vision]),
        (
            r#"{"contents":[{"parts":[{"inlineData":{"mimeType":"audio/wav","data":"aGk="}}]}]}"#,
            &[AudioInput],
        ),
        (
            r#"{"messages":[{"content":[{"type":"input_audio","input_audio":{"data":"x"}}]}]}"#,
            &[AudioInput],
        ),
        (r#"{"messages":[{"content":[{"type":"document","source":{"data":"x"}}]}]}"#, &[Documents]),
        (r#"{"modalities":["text","audio"],"audio":{"voice":"v"}}"#, &[AudioOutput]),
        (r#"{"generationConfig":{"responseModalities":["AUDIO"]}}"#, &[AudioOutput]),
        (r#"{"reasoning_effort":"low"}"#, &[Reasoning]),
        (r#"{"reasoning_effort":"none"}"#, &[]),
        (r#"{"reasoning":{"effort":"none","summary":"auto"}}"#, &[]),
        (r#"{"thinking":{"type":"enabled","budget_tokens":1024}}"#, &[Reasoning]),
        (r#"{"thinking":{"type":"disabled"}}"#, &[]),
        (r#"{"think":true}"#, &[Reasoning]),
        (r#"{"generationConfig":{"thinkingConfig":{"thinkingBudget":0}}}"#, &[]),
        (r#"{"prompt_cache_key":"k"}"#, &[PromptCaching]),
    ];
    for (body, want) in table {
        assert_eq!(capabilities(body), *want, "{body}");
    }
}

#[test]
fn an_hour_of_caching_is_claimed_only_if_every_breakpoint_says_so() {
    let hour = r#"{"type":"text","text":"a","cache_control":{"type":"ephemeral","ttl":"1h"}}"#;
    let five = r#"{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}"#;
    let claims = |system: &str| chat(&format!(r#"{{"system":[{system}]}}"#)).caches_for_an_hour;
    assert!(claims(&format!("{hour},{hour}")));
    assert!(!claims(&format!("{hour},{five}")) && !claims(&format!("{five},{hour}")));
    assert!(!claims(r#"{"type":"text","text":"a"}"#));
}

#[test]
fn text_is_counted_by_script_and_media_is_not_text() {
    let asked = chat(
        r#"{"system":"abcd","messages":[{"role":"user","content":[
            {"type":"text","text":"日本\u65e5 e"},
            {"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]}],
            "temperature":0.5,"user":"not me"}"#,
    );
    assert_eq!(asked.text, TextCount { spaced: 4 + 2, dense: 3 });
    assert!(asked.has_media);
    let ids = read("/v1/embeddings", br#"{"input":[[1,2,3],[4]]}"#);
    assert_eq!(ids.text, TextCount { spaced: 0, dense: 4 });
}

#[test]
fn what_is_broken_yields_what_could_be_read() {
    for body in [
        r#"{"model":"m","messages":[{"content":"never ends"#,
        r#"{"model":"m","messages":oops}"#,
        r#"{"model":"m"} {"model":"n"}"#,
    ] {
        let asked = chat(body);
        assert_eq!(asked.model.as_deref(), Some("m"), "{body}");
        assert!(!asked.is_complete_object, "{body}");
    }
    for body in ["", "[]", "null", "model=m", "[{\"model\":\"m\"}]"] {
        let asked = chat(body);
        assert!(asked.model.is_none() && !asked.is_complete_object, "{body}");
    }
    assert!(chat(" {\"model\": \"m\"}\r\n").is_complete_object);
}

#[test]
fn hostile_bodies_are_passed_over() {
    let mut bomb = scanner("/v1/chat/completions", "application/json");
    bomb.push(br#"{"messages":"#);
    (0..100).for_each(|_| bomb.push(&b"[{\"a\":".repeat(10_000)));
    assert!(!bomb.asked().is_complete_object);
    let mut long = scanner("/v1/chat/completions", "application/json");
    long.push(br#"{"model":""#);
    (0..40).for_each(|_| long.push(&[0xff; 1 << 20]));
    long.push(br#"","stream":true}"#);
    long.finish();
    assert!(long.asked().stream && long.asked().is_complete_object);
    assert!(long.asked().model.as_deref().is_none_or(|model| model.len() < 1024));
}

const FORM: &str = "--B-1\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\
    Content-Type: audio/wav\r\n\r\nRIFF\r\n--B\r\r\n-\r\n--B-1\r\n\
    content-disposition: form-data; name=model\r\n\r\nsome-model\r\n--B-1\r\n\
    Content-Disposition: form-data; name=\"stream\"\r\n\r\ntrue\r\n--B-1\r\n\
    Content-Disposition: form-data; name=\"prompt\"\r\n\r\nabc\r\n--B-1--\r\n";

#[test]
fn a_form_is_read_whatever_the_order_of_its_fields() {
    let asked = read_in_pieces(
        "/v1/audio/transcriptions",
        "multipart/form-data; boundary=\"B-1\"",
        FORM.as_bytes(),
        &[],
    );
    assert_eq!(asked.model.as_deref(), Some("some-model"));
    assert!(asked.stream && asked.has_media && !asked.is_complete_object);
    assert_eq!(asked.capabilities, [AudioInput]);
    assert_eq!(asked.text, TextCount { spaced: 3, dense: 0 });
}

#[test]
fn a_form_whose_headers_are_endless_reads_the_same_however_it_is_split() {
    let line = "Content-Disposition: form-data; name=\"prompt\"\r\n";
    let body = format!("--a\r\n{}\r\nabc\r\n--a--", line.repeat(100));
    let kind = "multipart/form-data; boundary=a";
    let whole = read_in_pieces("/v1/audio/transcriptions", kind, body.as_bytes(), &[]);
    let ends: Vec<usize> = (0..body.len()).collect();
    assert_eq!(read_in_pieces("/v1/audio/transcriptions", kind, body.as_bytes(), &ends), whole);
}

#[test]
fn every_word_that_could_choose_a_model_is_counted() {
    for (body, names) in [
        (r#"{"model":"a"}"#, 1),
        (r#"{"model":"a","model":"a"}"#, 2),
        (r#"{"MODEL":1,"mod\u0065l":null,"models":[]}"#, 3),
        (r#"{"x":{"model":"a"},"messages":[{"model":"b"}]}"#, 0),
    ] {
        assert_eq!(chat(body).model_names, names, "{body}");
    }
    let path = "/v1beta/models/m:generateContent";
    assert_eq!(read(path, br#"{"model":"other"}"#).model_names, 1, "the path's word is final");
    let mut unread = scanner("/v1/chat/completions", "application/json");
    unread.push(br#"{"model":"a"}"#);
    assert!(unread.is_understood());
    unread.push(br#"{"model":"b"}"#);
    assert!(!unread.is_understood());
}

const MESSAGES: &str = r#"{"max_tokens":5,"tools":[{"name":"w","input_schema":{"a":["日\u65e5"]}}],
    "messages":[{"role":"user","content":[{"type":"text","text":"Größe \ud83d\ude00 \n"},
    {"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"},
    "cache_control":{"type":"ephemeral","ttl":"1h"}}]}],"stream":true,"model":"m-é","x":[1,2]}"#;

proptest! {
    #[test]
    fn any_split_of_a_body_reads_the_same(ends in prop::collection::vec(any::<usize>(), 0..8)) {
        let whole = read("/v1/messages", MESSAGES.as_bytes());
        prop_assert!(whole.is_complete_object && whole.stream && whole.caches_for_an_hour);
        prop_assert_eq!(whole.capabilities.len(), 3);
        let mut ends = ends;
        ends.sort_by_key(|end| end % (MESSAGES.len() + 1));
        prop_assert_eq!(read_in_pieces("/v1/messages", "application/json", MESSAGES.as_bytes(), &ends), whole);
    }

    #[test]
    fn any_split_of_a_form_reads_the_same(ends in prop::collection::vec(any::<usize>(), 0..8)) {
        let kind = "Multipart/Form-Data; boundary=B-1; charset=utf-8";
        let mut ends = ends;
        ends.sort_by_key(|end| end % (FORM.len() + 1));
        let whole = read_in_pieces("/v1/audio/transcriptions", kind, FORM.as_bytes(), &[]);
        prop_assert_eq!(read_in_pieces("/v1/audio/transcriptions", kind, FORM.as_bytes(), &ends), whole);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), is_form in any::<bool>()) {
        let kind = if is_form { "multipart/form-data; boundary=a" } else { "application/json" };
        read_in_pieces("/v1/chat/completions", kind, &bytes, &[7, 50]);
    }
}
