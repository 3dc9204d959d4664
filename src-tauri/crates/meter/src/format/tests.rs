//! That a reader stays small whatever passes by.

use super::*;
use crate::provider::Provider;
use crate::receipt::Status;
use crate::request::Asked;
use crate::usage::Factor;

/// More than any answer that a reader is allowed to hold on to.
const HELD_LIMIT: usize = 64 * 1024;

impl Reader {
    /// Bytes held, apart from what is bounded by a constant number of names.
    fn held(&self) -> usize {
        let answer = &self.answer;
        let raw = answer.held_raw();
        let usage: usize = answer.usage.all().map(|(path, value)| path.len() + value.len()).sum();
        self.scanner.held() + self.outlines.held() + raw + usage
    }
}

fn reader(format: Format) -> Reader {
    let mut reader = Reader::new(Some(format), &Provider::declared("x", "http://x"));
    reader.head(200, &|name| (name == "content-type").then_some("text/event-stream"));
    reader
}

#[test]
fn an_event_of_any_size_gives_its_usage_and_is_not_kept() {
    let mut reader = reader(Format::OpenaiResponses);
    let start = "data: {\"response\":{\"id\":\"r\",\"model\":\"m\",\"status\":\"completed\",\"output\":\
                 [{\"type\":\"message\",\"content\":[{\"type\":\"output_text\",\"text\":\"";
    reader.push(start.as_bytes());
    let block = "x\\u00e9日".repeat(1000);
    for _ in 0..(8 << 20) / block.len() {
        reader.push(block.as_bytes());
        assert!(reader.held() < HELD_LIMIT);
    }
    let end = "\"}]}],\"instructions\":\"…\",\"usage\":{\"input_tokens\":7,\"output_tokens\":9}},\
               \"type\":\"response.completed\"}\n\n";
    let seen = reader.push(end.as_bytes());
    assert!(seen.usage && seen.terminal);
    let reading = reader.finish(End::Complete, &Asked::default());
    assert_eq!((reading.status, reading.model.as_deref()), (Status::Succeeded, Some("m")));
    assert_eq!(
        reading.lines,
        [UsageLine::reported(Factor::InputText, 7), UsageLine::reported(Factor::OutputText, 9),]
    );
}

#[test]
fn garbage_of_any_size_is_not_kept() {
    let block = [b'{', b'"', b'[', 0xff, b':', b'\n', b'a', b','].repeat(512);
    for format in Format::ALL {
        for start in ["data: {\"usage\":{", "{\"usage\":{\"", "[{\"", "data: {\"", "<"] {
            let mut reader = reader(*format);
            reader.push(start.as_bytes());
            for _ in 0..64 {
                reader.push(&block);
                assert!(reader.held() < HELD_LIMIT, "{format} after {start}");
            }
            let reading = reader.finish(End::Complete, &Asked::default());
            assert!(reading.lines.is_empty(), "{format} after {start}");
        }
    }
}
