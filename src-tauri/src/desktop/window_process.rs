//! The window's own process. The one in the tray draws no page: a web view, even a closed
//! one, would keep over a hundred megabytes and could take the gateway with it when it dies.
//!
//! Lines on the process's standard input are pages to show; its end is the end of the window.

use std::io::{BufRead as _, Write as _};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use tauri::AppHandle;

use super::{display, window};
use crate::child;

/// The window's process, if there is one.
#[derive(Clone, Default)]
pub(super) struct WindowProcess(Arc<Mutex<Option<Open>>>);

/// Dropping it closes the pipe, and with it the window.
struct Open {
    id: u32,
    pages: ChildStdin,
}

impl WindowProcess {
    /// Brings the window to the front, starting it if there is none; at `page` if one is named.
    pub(super) fn show(&self, page: Option<&str>) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(window) = open.as_mut()
            && writeln!(window.pages, "{}", page.unwrap_or_default()).is_ok()
        {
            return;
        }
        match start(page) {
            Ok((mut child, pages)) => {
                let id = child.id();
                *open = Some(Open { id, pages });
                let process = self.clone();
                std::thread::spawn(move || {
                    let _ = child.wait();
                    process.forget(id);
                });
            }
            Err(error) => {
                tracing::error!(%error, "the window could not be started; calls still pass");
            }
        }
    }

    fn forget(&self, id: u32) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if open.as_ref().is_some_and(|window| window.id == id) {
            *open = None;
        }
    }
}

fn start(page: Option<&str>) -> std::io::Result<(Child, ChildStdin)> {
    let mut command = child::command(std::env::current_exe()?);
    command.args(["--window", page.unwrap_or("/")]).stdin(Stdio::piped());
    display::with_graphics(&mut command);
    let mut child = command.spawn()?;
    let pages = child.stdin.take().expect("it was asked for");
    Ok((child, pages))
}

/// Does what the process in the tray says, on the window's side.
pub(super) fn obey(app: AppHandle) {
    std::thread::spawn(move || {
        for page in std::io::stdin().lock().lines() {
            let Ok(page) = page else { break };
            let app_there = app.clone();
            let _ = app.run_on_main_thread(move || {
                window::show(&app_there, Some(&*page).filter(|page| !page.is_empty()));
            });
        }
        app.exit(0);
    });
}
