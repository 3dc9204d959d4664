//! `standin [PORT]`: the stand-in as a process. Prints its address, runs until it is killed.
//! `GET /__standin/seen` tells what it received.

use standin::Standin;

fn main() -> std::io::Result<()> {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok()).unwrap_or(0);
    let standin = Standin::start_on(port)?;
    println!("{}", standin.origin());
    loop {
        std::thread::park();
    }
}
