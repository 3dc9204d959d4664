//! Starts other processes, and is the only place that does: whatever keys the user's shell gave
//! us, none of them goes on to those.

use std::ffi::OsStr;
use std::process::Command;

use meter::provider::Providers;

/// The program, to be started without the variables that providers' own software reads secrets
/// from.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for name in Providers::built_in().secret_variables() {
        command.env_remove(name);
    }
    command
}
