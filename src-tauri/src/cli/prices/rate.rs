//! `tollgate prices rate`: usage in, money out, a line each.

use std::io::{self, BufRead as _, Write as _};

use anyhow::bail;
use api::problem::{Code, ErrorBody, Problem};
use meter::price::ask;
use meter::provider::Providers;

use super::super::filters::now;

pub(super) fn run() -> anyhow::Result<()> {
    let book = super::book()?;
    let mut out = io::stdout().lock();
    let mut refused = 0;
    for line in io::stdin().lock().lines() {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        let answer = ask::answer(&book, Providers::built_in(), now(), &line);
        let answer = match answer {
            Ok(answer) => answer,
            // An answer a line, whatever the line: what comes out can be laid beside what went in.
            Err(error) => {
                refused += 1;
                let problem = Problem::new(Code::BadBody, error.to_string());
                serde_json::to_string(&ErrorBody { error: problem })?
            }
        };
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    if refused != 0 {
        bail!("{refused} of the lines could not be rated\nhint: their answers say why");
    }
    Ok(())
}
