//! Arguments in, a command out.

mod app;
mod cli;
mod config;
mod control;
mod home;
mod logging;
mod own_prices;
mod port_holder;

fn main() -> std::process::ExitCode {
    cli::run()
}
