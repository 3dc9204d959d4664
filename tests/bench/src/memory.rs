//! How much stays resident: idle, with many streams open, and while half a gigabyte goes up.

use std::time::Duration;

use anyhow::Context;

use crate::case::{Case, PIECE, upload};
use crate::load::{self, Load};
use crate::measure::Calls;
use crate::process::{forget_peak, peak, resident};
use crate::subject::Subject;
use crate::wire::Connection;

/// Streams open at the same time.
pub(crate) const STREAMS: usize = 256;
/// What goes up in one request.
pub(crate) const UPLOAD: usize = 512 * 1024 * 1024;

/// Of one subject, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    pub(crate) idle: u64,
    pub(crate) streaming: u64,
    /// Of those that take uploads.
    pub(crate) uploading: Option<u64>,
    /// After everything, idle again.
    pub(crate) after: u64,
}

/// To be asked of a subject that has done nothing yet.
pub(crate) fn idle(subjects: &[Subject]) -> Vec<Memory> {
    let of =
        |subject: &Subject| Memory { idle: resident(&subject.processes()), ..Memory::default() };
    subjects.iter().map(of).collect()
}

/// Adds what the peaks are.
pub(crate) fn peaks(
    subjects: &[Subject],
    calls: &mut Calls,
    memory: &mut [Memory],
) -> anyhow::Result<()> {
    for (at, (subject, memory)) in subjects.iter().zip(memory).enumerate() {
        memory.streaming = of_streams(subject)?;
        calls.add(at, STREAMS);
        if subject.takes_uploads {
            let peak =
                of_upload(subject).with_context(|| format!("{} while uploading", subject.name))?;
            memory.uploading = Some(peak);
            calls.add(at, 1);
        }
        memory.after = resident(&subject.processes());
    }
    Ok(())
}

fn of_streams(subject: &Subject) -> anyhow::Result<u64> {
    let processes = subject.processes();
    forget_peak(&processes);
    let case = Case::Paced(Duration::from_millis(10));
    load::run(subject, Load { case, at_once: STREAMS, each: 1 })?;
    Ok(peak(&processes))
}

fn of_upload(subject: &Subject) -> anyhow::Result<u64> {
    let processes = subject.processes();
    forget_peak(&processes);
    let pieces = UPLOAD / PIECE;
    let [head, piece, tail] = upload(&subject.address.to_string(), subject.prefix, pieces);
    Connection::open(subject.address)?.upload([&head, &piece, &tail], pieces)?;
    Ok(peak(&processes))
}
