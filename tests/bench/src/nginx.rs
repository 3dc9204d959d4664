//! The baseline: nginx's `proxy_pass`, set up as one would for streams.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use tempfile::TempDir;

use crate::subject::{Subject, free_address};

/// Starts nginx in front of the upstream; installs it first where apt can.
pub(crate) fn start(upstream: &Subject) -> anyhow::Result<Subject> {
    let version = version().or_else(|_| {
        install()?;
        version()
    })?;
    let folder = TempDir::new()?;
    let address = free_address()?;
    let config = config(folder.path(), &address.to_string(), &upstream.address.to_string());
    let file = folder.path().join("nginx.conf");
    std::fs::write(&file, config)?;
    let mut command = Command::new("nginx");
    command.arg("-c").arg(&file).arg("-p").arg(folder.path());
    Subject::start("nginx", version, command, address, folder)
}

fn version() -> anyhow::Result<String> {
    let output = Command::new("nginx").arg("-v").output().context("nginx cannot be run")?;
    let text = String::from_utf8_lossy(&output.stderr);
    let version = text.trim().rsplit(": ").next().unwrap_or_default();
    Ok(format!("{version}, a worker per processor, no access log, no buffering"))
}

fn install() -> anyhow::Result<()> {
    eprintln!("nginx is not installed; trying `apt-get install -y nginx-light`");
    let done = Command::new("apt-get")
        .args(["install", "-y", "--no-install-recommends", "nginx-light"])
        .env("DEBIAN_FRONTEND", "noninteractive")
        .status();
    ensure!(
        done.is_ok_and(|status| status.success()),
        "nginx could not be installed\nInstall it yourself (`sudo apt-get install nginx-light`, \
         `brew install nginx`) or leave it out with `--without nginx`"
    );
    Ok(())
}

fn config(folder: &Path, listen: &str, upstream: &str) -> String {
    let folder = folder.display();
    format!(
        "daemon off;
worker_processes auto;
pid {folder}/nginx.pid;
error_log {folder}/error.log error;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_max_body_size 0;
    keepalive_requests 1000000000;
    tcp_nodelay on;
    upstream bare {{ server {upstream}; keepalive 512; keepalive_requests 1000000000; }}
    server {{
        listen {listen};
        location / {{
            proxy_pass http://bare;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_buffering off;
            proxy_request_buffering off;
        }}
    }}
}}
"
    )
}
