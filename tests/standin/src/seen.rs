//! What the stand-in received, and how each request ended.

use std::io::{self, Read};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::answer::{Answer, Said};
use crate::http::Head;

/// Bytes of a body that are kept; of the rest only length and hash.
const KEPT: usize = 2 << 20;

/// One request as it arrived.
#[derive(Clone, Debug, Serialize)]
pub struct Seen {
    /// Counted from 1.
    pub number: u64,
    /// The method.
    pub method: String,
    /// Path and query as sent.
    pub target: String,
    /// In order and case of arrival.
    pub headers: Vec<(String, String)>,
    /// The body, once it was read whole.
    #[serde(skip)]
    pub upload: Option<Upload>,
    /// What the answer states as its usage.
    pub said: Option<Said>,
    /// The answer's body as far as it was sent, encoded as it was, in hexadecimal.
    pub sent_sha256: Option<String>,
    /// How it ended; `None` while it runs.
    pub end: Option<End>,
}

/// How a request ended for the stand-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// The whole answer was written.
    Complete,
    /// The peer went away first.
    PeerLeft,
    /// The stand-in broke off, as it was asked to.
    Broken,
}

/// A body that was read.
#[derive(Clone, Debug, Default)]
pub struct Upload {
    /// Its first bytes, at most 2 MiB.
    pub start: Vec<u8>,
    /// All of them counted.
    pub length: u64,
    /// Of all bytes, in hexadecimal.
    pub sha256: String,
}

impl Seen {
    /// The first header with this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// The body, as far as it was kept.
    pub fn body(&self) -> &[u8] {
        self.upload.as_ref().map_or(&[], |upload| &upload.start)
    }
}

/// Reads a body to its end.
pub(crate) fn read_upload(body: &mut impl Read) -> io::Result<Upload> {
    let mut upload = Upload::default();
    let mut hash = Sha256::new();
    let mut piece = vec![0; 64 << 10];
    loop {
        let got = body.read(&mut piece)?;
        if got == 0 {
            break;
        }
        let room = KEPT.saturating_sub(upload.start.len()).min(got);
        upload.start.extend_from_slice(&piece[..room]);
        upload.length += got as u64;
        hash.update(&piece[..got]);
    }
    upload.sha256 = hexadecimal(hash);
    Ok(upload)
}

/// The hash of these bytes as it stands in the record.
pub fn sha256(bytes: &[u8]) -> String {
    hexadecimal(Sha256::new_with_prefix(bytes))
}

pub(crate) fn hexadecimal(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The growing list.
#[derive(Debug, Default)]
pub(crate) struct Record {
    list: Mutex<Vec<Seen>>,
    changed: Condvar,
}

impl Record {
    pub(crate) fn arrived(&self, head: &Head) -> u64 {
        if head.path().starts_with("/__standin/") {
            return 0;
        }
        let mut list = self.lock();
        let number = list.len() as u64 + 1;
        list.push(Seen {
            number,
            method: head.method().to_owned(),
            target: head.target().to_owned(),
            headers: head.headers.clone(),
            upload: None,
            said: None,
            sent_sha256: None,
            end: None,
        });
        self.changed.notify_all();
        number
    }

    pub(crate) fn received(&self, number: u64, upload: Upload) {
        self.update(number, |seen| seen.upload = Some(upload));
    }

    pub(crate) fn said(&self, number: u64, said: Option<Said>) {
        self.update(number, |seen| seen.said = said);
    }

    pub(crate) fn ended(&self, number: u64, end: End, sent_sha256: String) {
        self.update(number, |seen| {
            seen.end = Some(end);
            seen.sent_sha256 = Some(sent_sha256);
        });
    }

    pub(crate) fn all(&self) -> Vec<Seen> {
        self.lock().clone()
    }

    pub(crate) fn wait_for(&self, enough: impl Fn(&[Seen]) -> bool) -> Vec<Seen> {
        let until = Instant::now() + Duration::from_secs(10);
        let mut list = self.lock();
        while !enough(&list) {
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited ten seconds in vain; seen so far: {list:#?}");
            list = self.changed.wait_timeout(list, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        list.clone()
    }

    /// Answers questions about itself: `GET /__standin/seen`.
    pub(crate) fn control(&self, head: &Head) -> Option<Answer> {
        (head.path() == "/__standin/seen")
            .then(|| Answer::json(200, &serde_json::json!(*self.lock())))
    }

    fn update(&self, number: u64, change: impl FnOnce(&mut Seen)) {
        if let Some(seen) = number.checked_sub(1).and_then(|at| usize::try_from(at).ok()) {
            if let Some(seen) = self.lock().get_mut(seen) {
                change(seen);
            }
            self.changed.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
