use std::time::Duration;

use meter::provider::Providers;
use meter::route::{Failover, NamedRoute, Profile};

use super::*;

fn read(json: &str) -> Result<NamedRoute, String> {
    let rule = RouteRule::read(json.as_bytes()).and_then(|rule| rule.check(Providers::built_in()));
    rule.map_err(|problem| format!("{} {}", problem.message, problem.hint.unwrap_or_default()))
}

#[test]
fn a_route_is_its_targets_and_the_rest_goes_without_saying() {
    let route = read(r#"{"name":"fast","targets":["groq/llama-3","openai/gpt-4o"]}"#).unwrap();
    assert_eq!((route.profile, route.tries()), (None, 2));
    assert_eq!(route.failover, Failover::default());
    let json = r#"{"name":"x","targets":["openrouter/a/b:free"],"profile":"cost","first_byte_ms":900,"attempts":3,"retry_on":[500,429,500]}"#;
    let route = read(json).unwrap();
    assert_eq!((route.profile, route.tries()), (Some(Profile::Cost), 3));
    assert_eq!(route.failover.statuses, [429, 500]);
    assert_eq!(route.failover.first_byte, Some(Duration::from_millis(900)));
}

#[test]
fn what_is_written_out_reads_the_same() {
    for json in [
        r#"{"name":"a","targets":["openai/m","groq/n"],"profile":"balanced","enabled":false}"#,
        r#"{"name":"a","targets":["ollama/m"],"retry_on":[],"attempts":2,"first_byte_ms":1,"longest_wait_ms":0,"rest_after":1,"rest_seconds":0}"#,
    ] {
        let route = read(json).unwrap();
        assert_eq!(RouteRule::from(&route).check(Providers::built_in()).unwrap(), route);
    }
}

#[test]
fn what_cannot_be_is_refused_with_what_can() {
    for (json, said) in [
        (r#"{"name":"a","targets":[]}"#, "1 to 20"),
        (r#"{"name":"a"}"#, "targets"),
        (r#"{"name":"a b","targets":["openai/m"]}"#, "letters, digits"),
        (r#"{"name":"","targets":["openai/m"]}"#, "letters, digits"),
        (r#"{"name":"a","targets":["gpt-4o"]}"#, "PROVIDER/MODEL"),
        (r#"{"name":"a","targets":["route/b"]}"#, "cannot lead to a route"),
        (r#"{"name":"a","targets":["nobody/m"]}"#, "not known here"),
        (r#"{"name":"a","targets":["bedrock/m"]}"#, "ways of its own"),
        (r#"{"name":"a","targets":["openai/m","openai/m"]}"#, "twice"),
        (
            r#"{"name":"a","targets":["openai/m","anthropic/n"]}"#,
            "openai speaks openai, anthropic speaks anthropic-messages",
        ),
        (r#"{"name":"a","targets":["openai/m"],"attempts":0}"#, "attempts"),
        (r#"{"name":"a","targets":["openai/m"],"retry_on":[200]}"#, "retry_on"),
        (r#"{"name":"a","targets":["openai/m"],"profile":"best"}"#, "balanced"),
        (r#"{"name":"a","targets":["openai/m"],"tries":2}"#, "tries"),
        (r#"["a"]"#, "not a route"),
    ] {
        let refusal = read(json).unwrap_err();
        assert!(refusal.contains(said), "{json}: {refusal}");
    }
}

#[test]
fn providers_that_share_a_format_share_a_route() {
    let both = read(r#"{"name":"a","targets":["anthropic/m","openrouter/anthropic/m"]}"#);
    assert!(both.is_ok(), "{both:?}");
}
