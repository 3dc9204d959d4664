//! macOS: `libproc`, through crates that wrap it. Only programs of the same user can be seen.

use listeners::Protocol;
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System, UpdateKind};

use super::{Ends, Process};

/// Finds programs.
#[derive(Debug, Default)]
pub(super) struct Finder;

impl Finder {
    /// Who holds the client's end. Nobody, if several hold an end with that address.
    pub(super) fn find(&mut self, ends: Ends) -> Option<Process> {
        let all = listeners::get_all().ok()?;
        let mut holders: Vec<_> = all
            .into_iter()
            .filter(|socket| socket.protocol == Protocol::TCP && socket.socket == ends.client)
            .map(|socket| socket.process)
            .collect();
        holders.dedup_by_key(|process| process.pid);
        let [holder] = holders.as_slice() else { return None };
        let pid = Pid::from_u32(holder.pid);
        let mut system = System::new().ok()?;
        let what = ProcessRefreshKind::nothing().with_cwd(UpdateKind::Always);
        system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), false, what);
        let folder = system.process(pid).and_then(|process| process.cwd()).map(Into::into);
        Some(Process { name: holder.name.clone(), folder })
    }
}
