//! Whether there is a screen to open a window on.

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
