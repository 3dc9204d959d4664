//! Linux: `/proc/net/tcp` names the socket, `/proc/PID/fd` who holds it. Only programs of the
//! same user can be seen, which is as it should be.

use std::ffi::OsStr;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::{Ends, Process};

/// Programs that called lately: the next connection is most likely one of theirs.
const RECENT: usize = 16;
/// `comm` holds no more of a name.
const SHORT: usize = 15;

/// Finds programs, those that called lately first.
#[derive(Debug, Default)]
pub(super) struct Finder {
    recent: Vec<u32>,
}

impl Finder {
    /// Who holds the client's end.
    pub(super) fn find(&mut self, ends: Ends) -> Option<Process> {
        let inode = inode(ends)?;
        let link = format!("socket:[{inode}]");
        let known = self.recent.iter().position(|pid| holds(*pid, &link));
        let pid = match known {
            Some(at) => self.recent.remove(at),
            None => pids().find(|pid| holds(*pid, &link))?,
        };
        self.recent.insert(0, pid);
        self.recent.truncate(RECENT);
        let folder = fs::read_link(of(pid, "cwd")).ok();
        Some(Process { name: name(pid)?, folder })
    }
}

fn of(pid: u32, what: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/{what}"))
}

fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn holds(pid: u32, link: &str) -> bool {
    let descriptors = fs::read_dir(of(pid, "fd")).into_iter().flatten().flatten();
    let is_it = |path: PathBuf| fs::read_link(path).is_ok_and(|to| to == Path::new(link));
    descriptors.map(|entry| entry.path()).any(is_it)
}

/// What the program calls itself, or the whole of its file's name where that was cut.
fn name(pid: u32) -> Option<String> {
    let own = fs::read(of(pid, "comm")).ok()?;
    let own = own.trim_ascii_end();
    if own.len() >= SHORT
        && let Ok(file) = fs::read_link(of(pid, "exe"))
        && let Some(file) = file.file_name().map(OsStr::as_bytes)
        && file.starts_with(own)
    {
        return Some(String::from_utf8_lossy(file).into_owned());
    }
    Some(String::from_utf8_lossy(own).into_owned())
}

/// The number of the client's socket.
fn inode(ends: Ends) -> Option<String> {
    let tables = [("/proc/net/tcp", false), ("/proc/net/tcp6", true)];
    tables.iter().find_map(|(table, is_six)| {
        // A socket for both families writes an old address in the new way.
        let [client, ours] = [ends.client, ends.ours].map(|end| written(end, *is_six));
        find(&fs::read_to_string(table).ok()?, &client?, &ours?)
    })
}

/// Columns: slot, local address as HEX:PORT, remote, state, …, inode tenth.
fn find(table: &str, local: &str, remote: &str) -> Option<String> {
    table.lines().skip(1).find_map(|line| {
        let mut columns = line.split_whitespace().skip(1);
        let is_it = columns.next() == Some(local) && columns.next() == Some(remote);
        let inode = is_it.then(|| columns.nth(6)).flatten()?;
        (inode != "0").then(|| inode.to_owned())
    })
}

/// An address as the tables have it: words of four bytes in this machine's order.
fn written(address: SocketAddr, is_six: bool) -> Option<String> {
    let bytes = match address.ip() {
        IpAddr::V4(ip) if is_six => ip.to_ipv6_mapped().octets().to_vec(),
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) if is_six => ip.octets().to_vec(),
        IpAddr::V6(_) => return None,
    };
    let word = |word: &[u8]| {
        let word = word.try_into().expect("chunks of four");
        format!("{:08X}", u32::from_ne_bytes(word))
    };
    let words: String = bytes.chunks_exact(4).map(word).collect();
    Some(format!("{words}:{:04X}", address.port()))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn whoever_connects_is_found_by_either_family() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(address).unwrap();
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (ours, _) = listener.accept().unwrap();
            let ends =
                Ends { client: client.local_addr().unwrap(), ours: ours.local_addr().unwrap() };
            let mut finder = Finder::default();
            let found = finder.find(ends).unwrap();
            assert_eq!(found.folder, std::env::current_dir().ok(), "{address}");
            assert_eq!(finder.recent, [std::process::id()]);
            assert_eq!(finder.find(ends), Some(found), "from memory");
            drop(client);
        }
    }

    #[test]
    fn an_old_address_is_found_in_the_new_table() {
        let address = "127.0.0.1:8655".parse().unwrap();
        let little = cfg!(target_endian = "little");
        let old = if little { "0100007F:21CF" } else { "7F000001:21CF" };
        assert_eq!(written(address, false).as_deref(), Some(old));
        let new = written(address, true).unwrap();
        assert!(new.ends_with(old) && new.starts_with("0000000000000000"), "{new}");
        let table = format!("head\n 0: {new} AA:1 01 0:0 0:0 0 1000 0 4711 1\n");
        assert_eq!(find(&table, &new, "AA:1").as_deref(), Some("4711"));
        assert_eq!(find(&table, &new, "AA:2"), None);
    }
}
