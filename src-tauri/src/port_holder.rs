//! Says which program holds a port, where the system tells (Linux: `/proc`).

use std::fs;
use std::path::Path;

/// Such as `node (process 4711)`, if it can be found out.
pub(crate) fn of(port: u16) -> Option<String> {
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .find_map(|table| listening_inode(table, port))?;
    let wanted = format!("socket:[{inode}]");
    fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let pid = entry.file_name().to_str()?.parse::<u32>().ok()?;
        let holds = fs::read_dir(entry.path().join("fd"))
            .ok()?
            .flatten()
            .any(|fd| fs::read_link(fd.path()).is_ok_and(|link| link == Path::new(&wanted)));
        let name =
            holds.then(|| fs::read_to_string(entry.path().join("comm")).unwrap_or_default())?;
        Some(format!("{} (process {pid})", name.trim()))
    })
}

/// Columns: slot, local address as HEX:PORT, remote, state (0A is listening), …, inode tenth.
fn listening_inode(table: &str, port: u16) -> Option<String> {
    let wanted = format!(":{port:04X}");
    fs::read_to_string(table).ok()?.lines().skip(1).find_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let listening = columns.get(1)?.ends_with(&wanted) && *columns.get(3)? == "0A";
        listening.then(|| columns.get(9).map(ToString::to_string)).flatten()
    })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #[test]
    fn our_own_port_is_held_by_us() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let holder = super::of(port).unwrap();
        assert!(holder.contains(&std::process::id().to_string()), "{holder}");
    }
}
