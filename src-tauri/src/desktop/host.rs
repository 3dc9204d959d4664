//! Whether the desktop shows tray icons at all, and what is said where it does not: without
//! a tray the app has no face while its window is closed.

use std::time::Duration;

use super::Start;
use crate::cli::remark;

/// At login the panel may come later than we do.
const PATIENCE: Duration = Duration::from_secs(10);

/// Says how to get along without a tray, once it is clear that nobody shows one.
pub(super) async fn miss(start: Start) {
    tokio::time::sleep(PATIENCE).await;
    let is_there = tokio::task::spawn_blocking(is_there).await.unwrap_or(false);
    if is_there {
        return;
    }
    let said = format!(
        "This desktop shows no tray icons. The gate is open all the same: start Tollgate again to see its window, stop it with `kill {}`.",
        std::process::id()
    );
    tracing::warn!("{said}");
    remark(&said);
    // Whoever asked for a window looks at the screen; at login nobody wants to hear it again.
    match start {
        Start::Shown => notify(said),
        Start::Hidden => {}
    }
}

fn notify(said: String) {
    // A daemon that hangs must hold up nobody.
    std::thread::spawn(move || {
        let mut note = notify_rust::Notification::new();
        note.appname("Tollgate").summary("No tray").body(&said).icon("tollgate");
        if let Err(error) = note.show() {
            tracing::info!(%error, "no notification daemon either");
        }
    });
}

/// Whether somebody watches for tray icons on the session's bus.
#[cfg(target_os = "linux")]
fn is_there() -> bool {
    use gtk::gio::{BusType, Cancellable, DBusCallFlags, bus_get_sync};
    use gtk::glib::{ToVariant as _, VariantTy};
    const BUS: &str = "org.freedesktop.DBus";
    const ANSWERS_WITHIN_MS: i32 = 2000;
    let asked = bus_get_sync(BusType::Session, Cancellable::NONE).and_then(|bus| {
        bus.call_sync(
            Some(BUS),
            "/org/freedesktop/DBus",
            BUS,
            "NameHasOwner",
            Some(&("org.kde.StatusNotifierWatcher",).to_variant()),
            VariantTy::new("(b)").ok(),
            DBusCallFlags::NONE,
            ANSWERS_WITHIN_MS,
            Cancellable::NONE,
        )
    });
    asked.is_ok_and(|answer| answer.get::<(bool,)>() == Some((true,)))
}

/// macOS and Windows always show them.
#[cfg(not(target_os = "linux"))]
fn is_there() -> bool {
    true
}
