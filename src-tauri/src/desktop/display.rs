//! Whether there is a screen to open a window on, and how little of it the tray needs.

use std::process::Command;

/// Tries what the window would use; asking first is the only way that does not panic later.
#[cfg(target_os = "linux")]
pub(super) fn is_there() -> bool {
    gtk::init().is_ok()
}

/// macOS and Windows always have one.
#[cfg(not(target_os = "linux"))]
pub(super) fn is_there() -> bool {
    true
}

/// What tells GTK to leave the graphics driver alone.
#[cfg(target_os = "linux")]
const GRAPHICS: &str = "GDK_GL";

/// Whether it was us who told it.
#[cfg(target_os = "linux")]
static SPARED: std::sync::OnceLock<()> = std::sync::OnceLock::new();

/// Keeps the graphics driver out of this process, which draws a menu at most: GTK would load it
/// to look what it can do, and a driver in software takes thirty megabytes. To be called before
/// [`is_there`], while there is no other thread.
#[cfg(target_os = "linux")]
pub(super) fn spare_graphics() {
    if std::env::var_os(GRAPHICS).is_none() && gtk::glib::setenv(GRAPHICS, "disable", false).is_ok()
    {
        let _ = SPARED.set(());
    }
}

/// Elsewhere the system shares one among all.
#[cfg(not(target_os = "linux"))]
pub(super) fn spare_graphics() {}

/// Lets a process that we start have graphics again.
#[cfg(target_os = "linux")]
pub(super) fn with_graphics(command: &mut Command) {
    if SPARED.get().is_some() {
        command.env_remove(GRAPHICS);
    }
}

/// Elsewhere nobody took them.
#[cfg(not(target_os = "linux"))]
pub(super) fn with_graphics(_: &mut Command) {}
