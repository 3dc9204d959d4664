//! The window and the tray, and how they begin and end with the gateway behind them.
//! Knows the management router; knows no SQL and adds nothing up.
//!
//! Two processes: one holds the gateway and the tray, the other the window while it is open
//! (see [`window_process`]).

mod assets;
mod bridge;
mod choice;
mod choosing;
mod display;
mod gate;
mod glance;
mod host;
pub(crate) mod notify;
mod tray;
mod window;
mod window_process;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use tauri::{AppHandle, Builder, Emitter as _, Manager as _, RunEvent, Wry};
use tokio::runtime::Runtime;

use self::choice::Chosen;
use self::gate::Gate;
use self::window_process::WindowProcess;
use crate::app;
use crate::cli::remark;
use crate::home::Home;
use crate::jobs::alerts::Teller;

/// How long calls that still run may take when the user quits.
const QUITTING: Duration = Duration::from_secs(5);

/// How the app begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// With its window.
    Shown,
    /// In the tray alone, as at login.
    Hidden,
}

/// Runs the app until the user quits. Without a display it serves without a window.
///
/// # Errors
/// Fails when the home cannot be used, or where there is no display as `tollgate serve` does.
pub(crate) fn run(start: Start) -> anyhow::Result<()> {
    display::spare_graphics();
    if !display::is_there() {
        remark("There is no display to open a window on; serving without one.");
        return app::serve(&[]);
    }
    let home = Home::find()?;
    let runtime = runtime()?;
    let opener = Opener::default();
    let gate = runtime.block_on(Gate::open(home.clone(), teller(&opener)))?;
    let app = in_tray(&home, start, opener)
        .manage(gate)
        .manage(Chosen::of(home.path()))
        .manage(WindowProcess::default())
        .manage(Mutex::new(Some(runtime)))
        .build(context())?;
    app.run(on_event);
    Ok(())
}

/// Runs the window at `page`, until it is closed or the process in the tray ends.
///
/// # Errors
/// Fails when the home cannot be used or there is no display.
pub(crate) fn run_window(page: &str) -> anyhow::Result<()> {
    let home = Home::find()?;
    let runtime = runtime()?;
    let gate = Gate::of_holder(home.clone());
    let page = page.to_owned();
    let remembered = tauri_plugin_window_state::Builder::new()
        .with_filename(home.path().join("window.json").to_string_lossy())
        .with_state_flags(window::REMEMBERED)
        .build();
    let app = Builder::default()
        .plugin(remembered)
        .invoke_handler(tauri::generate_handler![bridge::ask])
        .manage(Arc::clone(&gate))
        .setup(move |app| {
            window::show(app.handle(), Some(&page));
            window_process::obey(app.handle().clone());
            tauri::async_runtime::spawn(Arc::clone(&gate).follow());
            tauri::async_runtime::spawn(tell_pages(gate, app.handle().clone()));
            Ok(())
        })
        .build(context())
        .context("the window could not be made")?;
    app.run(|_, _| ());
    drop(runtime);
    Ok(())
}

fn runtime() -> anyhow::Result<Runtime> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    tauri::async_runtime::set(runtime.handle().clone());
    Ok(runtime)
}

fn context() -> tauri::Context {
    let mut context = tauri::generate_context!();
    context.set_assets(Box::new(assets::Pages));
    context
}

/// The app that opens pages, once there is one.
type Opener = Arc<OnceLock<AppHandle>>;

/// Shows notifications, and the page of those that are clicked.
fn teller(opener: &Opener) -> Teller {
    let opener = Arc::clone(opener);
    Arc::new(move |event| {
        let opener = Arc::clone(&opener);
        let open = move |page: &str| {
            if let Some(app) = opener.get() {
                show(app, Some(page));
            }
        };
        notify::tell(event, Some(Box::new(open)));
    })
}

fn in_tray(home: &Home, start: Start, opener: Opener) -> Builder<Wry> {
    let single = tauri_plugin_single_instance::Builder::new()
        .callback(|app, _, _| show(app, None))
        .dbus_id(instance(home))
        .build();
    let autostart =
        tauri_plugin_autostart::Builder::new().app_name("Tollgate").arg("--hidden").build();
    Builder::default().plugin(single).plugin(autostart).setup(move |app| {
        let handle = app.handle().clone();
        let _ = opener.set(handle.clone());
        if start == Start::Shown {
            show(&handle, None);
        }
        let gate = Arc::clone(&app.state::<Arc<Gate>>());
        tauri::async_runtime::spawn(Arc::clone(&gate).watch(handle.clone()));
        if let Some(tray) = tray::Tray::build(&handle) {
            tauri::async_runtime::spawn(host::miss(start));
            tauri::async_runtime::spawn(tray::keep(tray, gate, handle));
        }
        Ok(())
    })
}

/// Brings the window to the front, at `page` if one is named.
fn show(app: &AppHandle, page: Option<&str>) {
    app.state::<WindowProcess>().show(page);
}

/// One instance a session, and one for each home that is not the usual one.
fn instance(home: &Home) -> String {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let usual = "dev.tollgate.desktop";
    if std::env::var_os("TOLLGATE_HOME").is_none_or(|home| home.is_empty()) {
        return usual.to_owned();
    }
    let mut name = DefaultHasher::new();
    home.path().hash(&mut name);
    format!("{usual}.h{:016x}", name.finish())
}

/// The one event: the ledger changed, ask again.
async fn tell_pages(gate: Arc<Gate>, app: AppHandle) {
    let mut revision = gate.revision();
    while revision.changed().await.is_ok() {
        if let Err(error) = app.emit("changed", ()) {
            tracing::warn!(%error, "the pages were not told of a change");
        }
    }
}

fn on_event(app: &AppHandle, event: RunEvent) {
    match event {
        // Without a code nobody asked for it: there is no window, and that is as it should be.
        RunEvent::ExitRequested { code: None, api, .. } => api.prevent_exit(),
        RunEvent::Exit => quit(app),
        #[cfg(target_os = "macos")]
        RunEvent::Reopen { .. } => show(app, None),
        _ => {}
    }
}

/// Ends the gateway and closes the ledger; what runs may take a moment.
fn quit(app: &AppHandle) {
    let runtime = app.state::<Mutex<Option<Runtime>>>();
    let Some(runtime) = runtime.lock().unwrap_or_else(PoisonError::into_inner).take() else {
        return;
    };
    let gate = Arc::clone(&app.state::<Arc<Gate>>());
    let rest = runtime.block_on(gate.shut(QUITTING));
    runtime.shutdown_timeout(Duration::from_secs(1));
    if let Some(rest) = rest {
        rest.close();
    }
}
