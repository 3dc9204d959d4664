//! Headers that are read for more than being passed on: a provider's limits, a client's trace.

use meter::Timestamp;
use meter::allowance::ModelPattern;
use meter::limits;
use meter::receipt::TraceParent;

/// When the headers came.
const NOW: Timestamp = Timestamp::from_millis(1_795_132_800_000);
/// As much as `meter::limits` keeps of one answer.
const MOST: usize = 16;

/// Takes the input as lines of `name: value`, and each value as what else it may be.
pub fn check(input: &[u8]) {
    let text = &*String::from_utf8_lossy(input);
    let lines: Vec<(&str, &str)> = text.lines().filter_map(|line| line.split_once(':')).collect();
    let found = limits::read(lines.iter().copied(), NOW);
    assert!(found.len() <= MOST, "{} limits", found.len());
    for limit in &found {
        assert!(limit.what.len() <= 64, "{} bytes in a name", limit.what.len());
    }
    for (_, value) in lines {
        let value = value.trim();
        if let Ok(trace) = value.parse::<TraceParent>() {
            assert!(trace.trace_id_text().len() == 32, "{value}");
        }
        if let Ok(pattern) = value.parse::<ModelPattern>() {
            assert_eq!(pattern.as_str().parse(), Ok(pattern), "a pattern");
        }
    }
}
