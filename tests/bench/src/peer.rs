//! Gateways that one may choose instead of Tollgate: measured only when asked for, because they
//! are installed first, and because most of them are slow.

use crate::subject::Subject;
use crate::{bitrouter, litellm, portkey};

/// Who takes part when asked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Peer {
    /// LiteLLM's proxy, from PyPI.
    Litellm,
    /// Portkey's gateway, from npm.
    Portkey,
    /// bitrouter, from crates.io.
    Bitrouter,
}

impl Peer {
    /// Starts it in front of the upstream; installs it first where it is not.
    pub(crate) fn start(self, upstream: &Subject) -> anyhow::Result<Subject> {
        let mut subject = match self {
            Self::Litellm => litellm::start(upstream),
            Self::Portkey => portkey::start(upstream),
            Self::Bitrouter => bitrouter::start(upstream),
        }?;
        // They read a body whole before they pass it on, in memory, or refuse one of that size.
        subject.takes_uploads = false;
        Ok(subject)
    }
}
