//! Clients that take up room and ask for nothing.

use std::io::Write as _;
use std::net::TcpStream;

use super::Vault;
use crate::gate::Setup;

#[test]
fn a_crowd_of_idle_connections_locks_nobody_out() {
    // The system allows 256 open files, which is what macOS begins with.
    let launcher = &["bash", "-c", "ulimit -n 256; exec \"$0\" \"$@\""];
    let vault = Vault::open_with(Setup { launcher, ..Setup::default() });
    let mut crowd = Vec::new();
    for number in 0..400 {
        let mut stream = TcpStream::connect(vault.gate.address()).expect("it listens");
        if number % 2 == 0 {
            // Whoever had to go may have gone already.
            let _ = stream.write_all(b"POST /openai/v1/chat/completions HTTP/1.1\r\nhost: ");
        }
        crowd.push(stream);
        if number % 50 == 0 {
            assert_eq!(vault.gate.send(&vault.chat().bearer(&vault.pass)).status(), 200);
        }
    }
    assert_eq!(vault.gate.send(&vault.chat().bearer(&vault.pass)).status(), 200);
    assert_eq!(vault.gate.upstream_saw(10).len(), 10);
    assert!(!vault.gate.printed().contains("could not accept"), "{}", vault.gate.printed());
}
