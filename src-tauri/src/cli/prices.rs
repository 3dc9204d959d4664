//! `tollgate prices`: questions to the price book.

use std::io::{self, BufRead as _, Write as _};

use anyhow::bail;
use api::problem::{Code, ErrorBody, Problem};
use clap::{Args, Subcommand};
use meter::price::{Book, ask};
use meter::provider::Providers;

use super::filters::now;

/// Asks the price book.
#[derive(Debug, Args)]
pub(crate) struct PricesArgs {
    #[command(subcommand)]
    command: PricesCommand,
}

#[derive(Debug, Subcommand)]
enum PricesCommand {
    /// Rates usage: one JSON object a line on standard input, one answer a line
    ///
    /// A question has `model` and `lines` (factor to count) and may have `id`, `provider` or
    /// `base_url`, `kind`, `at`, `service_tier`. Its answer has the rated `lines`, and `cost`
    /// only if every line is priced.
    #[command(after_help = r#"Example:
  echo '{"model":"gpt-5","lines":{"input.text":1000,"output.text":200}}' | tollgate prices rate"#)]
    Rate,
}

impl PricesArgs {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        match self.command {
            PricesCommand::Rate => rate(),
        }
    }
}

fn rate() -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    let mut refused = 0;
    for line in io::stdin().lock().lines() {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        let answer = ask::answer(Book::built_in(), Providers::built_in(), now(), &line);
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
