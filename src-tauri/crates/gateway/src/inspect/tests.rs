use http::Request;

use super::*;

/// An inspector, and what moves its clock.
fn inspector() -> (Inspector, Arc<Mutex<Instant>>) {
    let now = Arc::new(Mutex::new(Instant::now()));
    let clock = Arc::clone(&now);
    (Inspector::with_clock(Arc::new(move || *clock.lock().unwrap())), now)
}

fn pass_time(clock: &Mutex<Instant>, time: Duration) {
    *clock.lock().unwrap() += time;
}

/// The number-th call under a pass.
fn call(inspector: &Inspector, pass: &str, number: u16) -> Option<Watch> {
    let at = Timestamp::from_millis(1_763_683_200_000);
    let mut receipt = Receipt::begun(ReceiptId::new(at, number, 1), at, "openai", "");
    receipt.pass = Some(pass.into());
    let request = Request::post("/openai/v1/x?alt=sse&key=AIza-PLANTED&PLANTED")
        .header("authorization", "Bearer tg_PLANTED")
        .header("cookie", "PLANTED")
        .header("x-new-token", "PLANTED")
        .header("content-type", "application/json")
        .body(())
        .expect("a request");
    let parts = request.into_parts().0;
    inspector.watch(&receipt, &parts, || vec![Zeroizing::new("tg_PLANTED".to_owned())])
}

fn seen(inspector: &Inspector, pass: &str) -> Vec<Call> {
    inspector.look(pass, |view| view.calls.iter().cloned().collect()).unwrap_or_default()
}

#[test]
fn only_calls_of_the_pass_that_is_looked_at_are_seen_and_only_while_it_is() {
    let (inspector, _) = inspector();
    assert!(call(&inspector, "laptop", 0).is_none(), "nobody looks");
    assert!(inspector.open("laptop"));
    assert!(call(&inspector, "other", 1).is_none());
    let watch = call(&inspector, "laptop", 2).expect("looked at");
    watch.request(b"hello");
    assert!(inspector.look("other", |_| ()).is_none());
    assert_eq!(seen(&inspector, "laptop")[0].request_text(), "hello");
    assert!(inspector.close("laptop") && !inspector.close("laptop"));
    watch.answer(b"PLANTED");
    assert!(inspector.look("laptop", |_| ()).is_none());
    inspector.open("laptop");
    watch.answer(b"PLANTED");
    assert!(seen(&inspector, "laptop").is_empty(), "a new window begins empty");
}

#[test]
fn a_window_is_gone_after_ten_minutes_and_earlier_if_nobody_reads() {
    let (inspector, clock) = inspector();
    inspector.open("laptop");
    let watch = call(&inspector, "laptop", 0).expect("looked at");
    for _ in 0..9 {
        pass_time(&clock, Duration::from_secs(60));
        assert_eq!(seen(&inspector, "laptop").len(), 1);
        inspector.open("laptop");
    }
    pass_time(&clock, Duration::from_secs(59));
    assert_eq!(inspector.look("laptop", |view| view.left).expect("open"), Duration::from_secs(1));
    assert_eq!(inspector.sweep(), Some(Duration::from_secs(1)));
    pass_time(&clock, Duration::from_secs(1));
    assert_eq!(inspector.sweep(), None);
    assert!(inspector.0.windows.lock().unwrap().is_empty(), "not even held");
    watch.request(b"late");
    assert!(call(&inspector, "laptop", 1).is_none());

    inspector.open("laptop");
    pass_time(&clock, UNREAD_FOR);
    assert!(call(&inspector, "laptop", 2).is_none());
}

#[test]
fn the_last_fifty_calls_are_held_and_no_more_bytes_than_so_many() {
    let (inspector, _) = inspector();
    inspector.open("laptop");
    let watches: Vec<Watch> =
        (0..60).map(|number| call(&inspector, "laptop", number).expect("looked at")).collect();
    let calls = seen(&inspector, "laptop");
    assert_eq!(calls.len(), MOST_CALLS);
    let large = vec![b'x'; MOST_OF_BODY + 1];
    for watch in &watches {
        watch.request(&large);
        watch.answer(&large);
    }
    let calls = seen(&inspector, "laptop");
    assert_eq!(calls.len(), MOST_OF_ALL / (2 * MOST_OF_BODY));
    let last = calls.last().expect("some");
    assert!(last.request.is_cut() && last.request_text().len() == MOST_OF_BODY);
    assert_eq!(last.answer.total, MOST_OF_BODY as u64 + 1);
    let held = calls.iter().map(|call| call.request.bytes.len() + call.answer.bytes.len());
    assert_eq!(held.sum::<usize>(), inspector.0.windows.lock().unwrap()[0].held);
}

#[test]
fn no_credential_is_shown() {
    let (inspector, _) = inspector();
    inspector.open("laptop");
    let watch = call(&inspector, "laptop", 0).expect("looked at");
    watch.answer(b"{\"you sent\":\"Bearer tg_PLANTED\"}");
    let calls = seen(&inspector, "laptop");
    let call = &calls[0];
    let shown = format!("{:?} {} {:?}", call.request_headers, call.target, call.answer_text());
    assert!(!shown.contains("PLANTED"), "{shown}");
    assert!(shown.contains("application/json") && shown.contains("alt=sse"), "{shown}");
    assert!(!format!("{call:?} {inspector:?} {:?}", call.answer).contains("sent"));
}

#[test]
fn windows_are_few_and_a_call_that_is_let_go_of_is_over() {
    let (inspector, _) = inspector();
    for pass in ["a", "b", "c", "d"] {
        assert!(inspector.open(pass));
    }
    assert!(!inspector.open("e") && inspector.open("a"));
    let watch = call(&inspector, "b", 0).expect("looked at");
    let other = watch.clone();
    drop(watch);
    assert!(!seen(&inspector, "b")[0].is_over);
    drop(other);
    assert!(seen(&inspector, "b")[0].is_over);
}
