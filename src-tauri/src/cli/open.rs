//! `tollgate open`: an address that shows the pages in a browser.

use std::io::Write as _;

use anyhow::bail;
use axum::http::Method;
use clap::Args;

use super::screen::Screen;
use crate::app::PageAddress;
use crate::home::Lock;

/// Prints an address that opens the pages in a browser: once, within ten minutes.
#[derive(Debug, Args)]
pub(crate) struct OpenArgs {
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

impl OpenArgs {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        if let Lock::Taken(_) = super::home()?.try_lock()? {
            bail!(
                "no Tollgate is running that could show pages\nhint: start one with `tollgate serve`"
            );
        }
        let made: PageAddress = super::change(Method::POST, "/api/v1/page-address", None::<&()>)?;
        let mut screen = Screen::take();
        if self.json {
            screen.json(&made)?;
        } else {
            writeln!(screen, "{}", made.url)?;
        }
        Ok(screen.flush()?)
    }
}
