//! Where Tollgate's own messages go: standard error and a daily file in the home.
//!
//! Only Tollgate's own crates are ever let through, whatever level is asked for: a
//! library's trace output may hold headers or bodies, ours never does.

use std::path::Path;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Log files kept, one a day.
const DAYS: usize = 14;

/// The crates that may speak.
const OURS: [&str; 5] = ["tollgate", "gateway", "store", "api", "meter"];

/// Starts logging. `TOLLGATE_LOG` (or `RUST_LOG`) sets the level of standard error: a bare
/// level such as `debug`; anything else means `warn`.
pub(crate) fn start(logs: &Path) {
    let asked = std::env::var("TOLLGATE_LOG").or_else(|_| std::env::var("RUST_LOG"));
    let asked = asked.ok().and_then(|level| level.parse::<LevelFilter>().ok());
    let console = asked.unwrap_or(LevelFilter::WARN);
    let file = console.max(LevelFilter::INFO);
    let stderr =
        tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_filter(ours(console));
    // Where it cannot be made, messages go to standard error alone.
    let _ = crate::home::private_folder(logs);
    let appender = tracing_appender::rolling::Builder::new()
        .rotation(tracing_appender::rolling::Rotation::DAILY)
        .filename_prefix("tollgate")
        .filename_suffix("log")
        .max_log_files(DAYS)
        .build(logs);
    let to_file = appender.ok().map(|appender| {
        let writer = std::sync::Mutex::new(appender);
        tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .with_writer(writer)
            .with_filter(ours(file))
    });
    tracing_subscriber::registry().with(stderr).with(to_file).init();
}

fn ours(level: LevelFilter) -> Targets {
    OURS.iter().fold(Targets::new(), |targets, name| targets.with_target(*name, level))
}
