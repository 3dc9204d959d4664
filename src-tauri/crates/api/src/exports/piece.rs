//! A file that is handed out, whole or from where a download broke off (RFC 9110, section 14).

use std::io::SeekFrom;
use std::path::Path;

use axum::body::{Body, Bytes};
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE,
    ETAG, IF_NONE_MATCH, IF_RANGE, RANGE,
};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

use super::job::ExportJob;
use crate::problem::{Code, Problem};

/// Bytes that leave together.
const CHUNK: usize = 64 * 1024;

/// What somebody wants of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    All,
    /// From the first byte up to, and with, the second.
    Part(u64, u64),
    /// Nothing that is there.
    Beyond,
}

/// The answer to `GET` on the file of a finished export.
pub(crate) async fn answer(
    job: &ExportJob,
    path: &Path,
    asked: &HeaderMap,
) -> Result<Response, Problem> {
    let gone = |_| Problem::new(Code::NotFound, format!("the file of export `{}` is gone", job.id));
    let mut file = File::open(path).await.map_err(gone)?;
    let length = file.metadata().await.map_err(gone)?.len();
    let tag = tag(job, length);
    if asked.get(IF_NONE_MATCH).is_some_and(|known| known == tag.as_str()) {
        return Ok((StatusCode::NOT_MODIFIED, [(ETAG, tag)]).into_response());
    }
    let is_same = asked.get(IF_RANGE).is_none_or(|known| known == tag.as_str());
    let range = asked.get(RANGE).filter(|_| is_same).and_then(|range| range.to_str().ok());
    let (status, first, last) = match range.map_or(Wanted::All, |range| wanted(range, length)) {
        Wanted::All => (StatusCode::OK, 0, length.saturating_sub(1)),
        Wanted::Part(first, last) => (StatusCode::PARTIAL_CONTENT, first, last),
        Wanted::Beyond => {
            let sentence = format!("the file ends after {length} bytes");
            let problem = Problem::new(Code::BadRange, sentence)
                .hint("Ask for it from the beginning, without `range`.");
            let range = [(CONTENT_RANGE, format!("bytes */{length}"))];
            return Ok((range, problem).into_response());
        }
    };
    file.seek(SeekFrom::Start(first)).await.map_err(gone)?;
    let count = if length == 0 { 0 } else { last - first + 1 };
    let range = (status == StatusCode::PARTIAL_CONTENT)
        .then(|| [(CONTENT_RANGE, format!("bytes {first}-{last}/{length}"))]);
    let headers = [
        (CONTENT_TYPE, job.order.format.media_type().to_owned()),
        (CONTENT_DISPOSITION, format!("attachment; filename=\"{}\"", job.name)),
        (CONTENT_LENGTH, count.to_string()),
        (ACCEPT_RANGES, "bytes".to_owned()),
        (ETAG, tag),
        (CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((status, headers, range, body(file, count)).into_response())
}

/// What is in a file never changes, and no number is used twice.
fn tag(job: &ExportJob, length: u64) -> String {
    format!("\"{}-{:x}-{length:x}\"", job.id, job.ordered_at.millis())
}

fn body(file: File, count: u64) -> Body {
    Body::from_stream(stream::try_unfold((file, count), |(mut file, left)| async move {
        if left == 0 {
            return Ok::<_, std::io::Error>(None);
        }
        let most = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
        let mut chunk = vec![0; most];
        let read = file.read(&mut chunk).await?;
        if read == 0 {
            // Cuts the connection, so that half a file never looks whole.
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        chunk.truncate(read);
        Ok(Some((Bytes::from(chunk), (file, left - read as u64))))
    }))
}

/// Reads a `range`. Several at once, and what is none, is as if none were asked for, as the RFC
/// allows.
fn wanted(range: &str, length: u64) -> Wanted {
    let Some(ends) = range.trim().strip_prefix("bytes=") else { return Wanted::All };
    let Some((first, last)) = ends.split_once('-') else { return Wanted::All };
    let number = |text: &str| -> Option<u64> {
        let digits = text.trim();
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().unwrap_or(u64::MAX))
    };
    match (first.trim().is_empty(), last.trim().is_empty()) {
        (true, true) => Wanted::All,
        (true, false) => match number(last) {
            None => Wanted::All,
            Some(0) => Wanted::Beyond,
            Some(_) if length == 0 => Wanted::Beyond,
            Some(count) => Wanted::Part(length.saturating_sub(count), length - 1),
        },
        (false, is_open) => match (number(first), number(last)) {
            (Some(first), _) if first >= length => Wanted::Beyond,
            (Some(first), _) if is_open => Wanted::Part(first, length - 1),
            (Some(first), Some(last)) if last >= first => Wanted::Part(first, last.min(length - 1)),
            _ => Wanted::All,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_the_rfc_says() {
        let cases = [
            ("bytes=0-3", Wanted::Part(0, 3)),
            ("bytes=8-", Wanted::Part(8, 9)),
            ("bytes=-4", Wanted::Part(6, 9)),
            ("bytes=-40", Wanted::Part(0, 9)),
            ("bytes=3-400", Wanted::Part(3, 9)),
            ("bytes=0-99999999999999999999999", Wanted::Part(0, 9)),
            ("bytes=10-", Wanted::Beyond),
            ("bytes=99999999999999999999999-", Wanted::Beyond),
            ("bytes=-0", Wanted::Beyond),
            ("bytes=5-2", Wanted::All),
            ("bytes=0-1,3-4", Wanted::All),
            ("bytes=a-b", Wanted::All),
            ("bytes=-", Wanted::All),
            ("lines=0-3", Wanted::All),
            ("", Wanted::All),
        ];
        for (range, means) in cases {
            assert_eq!(wanted(range, 10), means, "{range}");
        }
        assert_eq!(wanted("bytes=0-", 0), Wanted::Beyond);
        assert_eq!(wanted("bytes=-1", 0), Wanted::Beyond);
    }
}
