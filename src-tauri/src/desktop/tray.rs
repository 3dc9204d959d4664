//! The tray: its icon, its menu, and how both follow the ledger.
//!
//! Linux shows no tooltip and delivers no clicks on the icon, so everything that matters
//! stands in the menu; what other systems add is set and ignored where unknown.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use axum::http::Method;
use tauri::image::Image;
use tauri::menu::{CheckMenuItem, Menu, MenuBuilder, MenuEvent, MenuItem, SubmenuBuilder};
use tauri::tray::{TrayIcon, TrayIconBuilder};
use tauri::{AppHandle, Manager as _, Wry, include_image};
use tauri_plugin_autostart::ManagerExt as _;

use super::choice::{Choice, Chosen};
use super::choosing::{self, Choosing};
use super::gate::{Gate, Standing};
use super::glance::{self, Glance};
use super::show;

/// The menu follows the ledger at most this often.
const PACE: Duration = Duration::from_secs(1);

/// Nothing the tray says outlives this: midnight comes between two calls, too.
const STALE: Duration = Duration::from_secs(60);

const ICON: Image<'_> = include_image!("icons/tray.png");
const ICON_ALERT: Image<'_> = include_image!("icons/tray-alert.png");

/// The tray's parts that change.
pub(super) struct Tray {
    icon: TrayIcon<Wry>,
    lines: Vec<MenuItem<Wry>>,
    gate: MenuItem<Wry>,
    choosing: Choosing,
    pause: CheckMenuItem<Wry>,
    release: MenuItem<Wry>,
    shown: Option<(Glance, Standing)>,
}

impl Tray {
    /// Builds it; where the system has no tray the app goes on without, and says so.
    pub(super) fn build(app: &AppHandle) -> Option<Self> {
        // The library behind it panics where it is not installed.
        let built = catch_unwind(AssertUnwindSafe(|| build(app)));
        match built {
            Ok(Ok(tray)) => Some(tray),
            Ok(Err(error)) => {
                tracing::warn!(%error, "there is no tray");
                None
            }
            Err(_) => {
                tracing::warn!("there is no tray");
                crate::cli::remark(
                    "There is no tray: install `libayatana-appindicator3-1` to have one. The gate is open all the same.",
                );
                None
            }
        }
    }

    fn show(&mut self, glance: Glance, standing: Standing, choice: Choice) -> tauri::Result<()> {
        // Even if nothing is news: the menu ticks by itself what is clicked.
        self.choosing.show(choice, &glance.currencies)?;
        let now = (glance, standing);
        if self.shown.as_ref() == Some(&now) {
            return Ok(());
        }
        let (glance, standing) = &now;
        let texts = [
            &glance.today,
            &glance.week,
            &glance.month,
            &glance.top,
            &glance.last,
            &glance.error,
            &glance.limits,
            &glance.alerts,
            &glance.budgets,
        ];
        for (line, text) in self.lines.iter().zip(texts) {
            line.set_text(text)?;
        }
        self.gate.set_text(gate_line(standing))?;
        self.pause.set_checked(glance.is_paused)?;
        self.release.set_enabled(glance.stopping.is_some())?;
        let is_shut = matches!(standing, Standing::Shut(_));
        self.icon.set_title(Some(if is_shut { "shut" } else { &*glance.title }))?;
        self.icon.set_tooltip(Some(format!("{}\n{}", glance.today, gate_line(standing))))?;
        self.icon.set_icon(Some(if is_shut || glance.is_alert { ICON_ALERT } else { ICON }))?;
        self.shown = Some(now);
        Ok(())
    }
}

fn build(app: &AppHandle) -> tauri::Result<Tray> {
    let line = |id: &str| MenuItem::with_id(app, id, "…", false, None::<&str>);
    let ids = ["today", "week", "month", "top", "last", "error", "limits", "alerts", "budgets"];
    let lines = ids.into_iter().map(line).collect::<tauri::Result<Vec<_>>>()?;
    // These two lead to their pages.
    for line in lines.iter().rev().take(2) {
        line.set_enabled(true)?;
    }
    let gate = line("gate")?;
    let choosing = Choosing::build(app)?;
    let pause = CheckMenuItem::with_id(app, "pause", "Pause alerts", true, false, None::<&str>)?;
    let release = MenuItem::with_id(app, "release", "Release the budget", false, None::<&str>)?;
    let menu = menu(app, &lines, (&pause, &release), &gate, &choosing)?;
    let icon = TrayIconBuilder::with_id("tollgate")
        .icon(ICON)
        .icon_as_template(cfg!(target_os = "macos"))
        .menu(&menu)
        .on_menu_event(on_menu)
        .build(app)?;
    Ok(Tray { icon, lines, gate, choosing, pause, release, shown: None })
}

fn menu(
    app: &AppHandle,
    lines: &[MenuItem<Wry>],
    (pause, release): (&CheckMenuItem<Wry>, &MenuItem<Wry>),
    gate: &MenuItem<Wry>,
    choosing: &Choosing,
) -> tauri::Result<Menu<Wry>> {
    let copy = SubmenuBuilder::new(app, "Copy base URL")
        .text("copy/v1", "OpenAI (/v1)")
        .text("copy/", "Anthropic, Gemini")
        .build()?;
    let at_login = app.autolaunch().is_enabled().unwrap_or(false);
    let at_login =
        CheckMenuItem::with_id(app, "at_login", "Start at login", true, at_login, None::<&str>)?;
    let (figures, recent) = lines.split_at(3);
    let mut menu = MenuBuilder::new(app);
    for line in figures {
        menu = menu.item(line);
    }
    menu = menu.separator();
    for line in recent {
        menu = menu.item(line);
    }
    menu.item(pause)
        .item(release)
        .separator()
        .item(gate)
        .text("open", "Open Tollgate")
        .item(&copy)
        .item(&choosing.span)
        .item(&choosing.currency)
        .item(&at_login)
        .separator()
        .text("quit", "Quit (stops the gate)")
        .build()
}

fn gate_line(standing: &Standing) -> String {
    match standing {
        Standing::Open(addresses) => {
            addresses.first().map_or_else(String::new, |address| format!("Gate open at {address}"))
        }
        Standing::Attached => "Gate open, run by `tollgate serve`".to_owned(),
        Standing::Shut(why) => {
            let why = why.lines().next().unwrap_or_default();
            format!("The gate is shut: {why}")
        }
    }
}

fn on_menu(app: &AppHandle, event: MenuEvent) {
    match event.id().as_ref() {
        "open" => show(app, None),
        "quit" => app.exit(0),
        "at_login" => start_at_login(app),
        "alerts" => show(app, Some("/alerts")),
        "budgets" => show(app, Some("/budgets")),
        "pause" => pause_alerts(app),
        "release" => release_budget(app),
        id => {
            if choosing::clicked(app, id) {
                return;
            }
            if let Some(path) = id.strip_prefix("copy") {
                copy_base_url(app, path);
            }
        }
    }
}

/// Pauses alerts until somebody resumes them, or resumes them.
fn pause_alerts(app: &AppHandle) {
    use tauri::Manager as _;
    let gate = Arc::clone(&app.state::<Arc<Gate>>());
    tauri::async_runtime::spawn(async move {
        let is_paused = gate.alerts().await.is_some_and(|alerts| alerts.pause.is_some());
        let until = if is_paused { serde_json::json!("now") } else { serde_json::Value::Null };
        let order = serde_json::json!({ "until": until });
        let (status, _) = gate.ask(Method::POST, "/api/v1/alerts/pause", Some(&order)).await;
        if !status.is_success() {
            tracing::error!(%status, "alerts could not be paused or resumed");
        }
    });
}

/// Lets the budget that denies calls deny none until its period is over.
fn release_budget(app: &AppHandle) {
    let gate = Arc::clone(&app.state::<Arc<Gate>>());
    tauri::async_runtime::spawn(async move {
        let budgets = gate.budgets().await.unwrap_or_default().budgets;
        let Some(name) = glance::stopping(&budgets) else { return };
        let path = format!("/api/v1/budgets/{}/release", api::alerts::escaped(name));
        let (status, _) = gate.ask(Method::POST, &path, None).await;
        if !status.is_success() {
            tracing::error!(%status, "the budget could not be released");
        }
    });
}

fn start_at_login(app: &AppHandle) {
    let autolaunch = app.autolaunch();
    let done = match autolaunch.is_enabled() {
        Ok(true) => autolaunch.disable(),
        Ok(false) => autolaunch.enable(),
        Err(error) => Err(error),
    };
    if let Err(error) = done {
        tracing::error!(%error, "starting at login could not be changed");
    }
}

fn copy_base_url(app: &AppHandle, path: &str) {
    let standing = app.state::<Arc<Gate>>().standing().borrow().clone();
    let address = match standing {
        Standing::Open(addresses) => addresses.first().map(ToString::to_string),
        Standing::Attached | Standing::Shut(_) => None,
    };
    let base = address.unwrap_or_else(|| "127.0.0.1:8655".to_owned());
    let url = format!("http://{base}{}", path.trim_end_matches('/'));
    // The clipboard's owner must stay alive on X11, so it waits on a thread of its own until
    // somebody else copies something.
    std::thread::spawn(move || {
        let copied = arboard::Clipboard::new().and_then(|mut clipboard| {
            let set = clipboard.set();
            #[cfg(target_os = "linux")]
            let set = arboard::SetExtLinux::wait(set);
            set.text(url)
        });
        if let Err(error) = copied {
            tracing::warn!(%error, "the address could not be copied");
        }
    });
}

/// Keeps the tray true: after every change of the ledger, of the gate and of the day.
pub(super) async fn keep(tray: Tray, gate: Arc<Gate>, app: AppHandle) {
    let tray = Arc::new(std::sync::Mutex::new(tray));
    let (mut revision, mut standing) = (gate.revision(), gate.standing());
    let mut choice = app.state::<Chosen>().choice();
    loop {
        let is = standing.borrow_and_update().clone();
        let chosen = *choice.borrow_and_update();
        revision.mark_unchanged();
        match glance::read(&gate, chosen).await {
            Ok(glance) => {
                let tray = Arc::clone(&tray);
                let shown = app.run_on_main_thread(move || {
                    let mut tray = tray.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    if let Err(error) = tray.show(glance, is, chosen) {
                        tracing::warn!(%error, "the tray could not be changed");
                    }
                });
                if shown.is_err() {
                    return;
                }
            }
            Err(problem) => tracing::debug!("the tray knows nothing new: {problem}"),
        }
        tokio::time::sleep(PACE).await;
        tokio::select! {
            _ = revision.changed() => {}
            _ = standing.changed() => {}
            _ = choice.changed() => {}
            () = tokio::time::sleep(STALE) => {}
        }
    }
}
