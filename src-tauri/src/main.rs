//! Arguments in, a command out.

mod app;
mod config;
mod control;
mod home;
mod logging;
mod port_holder;

fn main() -> anyhow::Result<()> {
    let listen: Vec<_> = std::env::args()
        .skip(2)
        .filter(|a| a != "--listen")
        .map(|a| config::address(&a))
        .collect::<Result<_, _>>()?;
    app::serve(&listen)
}
