//! Arguments in, a command out.

mod alert_book;
mod app;
mod attribution;
mod budget_book;
mod child;
mod cli;
mod config;
mod control;
mod deployment_book;
#[cfg(feature = "desktop")]
mod desktop;
mod exchange;
mod front;
mod home;
mod inspecting;
mod jobs;
mod key_check;
mod key_ring;
mod logging;
mod onlookers;
mod open_files;
mod own_memory;
mod own_prices;
mod pages;
mod port_holder;
mod price_list;
mod route_book;
mod rule_file;
mod session;
mod settings;

fn main() -> std::process::ExitCode {
    own_memory::close();
    // Whoever makes an HTTPS client finds this one; it is the first, so nobody was before it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    cli::run()
}
