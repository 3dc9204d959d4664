//! The window. Closed is gone: in the tray no web process runs, and opening makes a new one.

use tauri::{AppHandle, Manager as _, Theme, WebviewUrl, WebviewWindowBuilder};
use tauri_plugin_window_state::StateFlags;

const LABEL: &str = "main";

/// What is remembered of a closed window.
pub(super) const REMEMBERED: StateFlags =
    StateFlags::SIZE.union(StateFlags::POSITION).union(StateFlags::MAXIMIZED);

/// Brings the window to the front, making it if there is none; at `page` if one is named.
pub(super) fn show(app: &AppHandle, page: Option<&str>) {
    if let Some(window) = app.get_webview_window(LABEL) {
        let shown = window.show().and_then(|()| window.unminimize()).and_then(|()| {
            if let Some(page) = page {
                let mut url = window.url()?;
                let (path, query) = page.split_once('?').unwrap_or((page, ""));
                url.set_path(path);
                url.set_query((!query.is_empty()).then_some(query));
                window.navigate(url)?;
            }
            window.set_focus()
        });
        if let Err(error) = shown {
            tracing::warn!(%error, "the window could not be brought to the front");
        }
        return;
    }
    let page = page.unwrap_or("/").trim_start_matches('/');
    let made = WebviewWindowBuilder::new(app, LABEL, WebviewUrl::App(page.into()))
        .title("Tollgate")
        .inner_size(1280.0, 860.0)
        .min_inner_size(360.0, 480.0)
        .theme(None::<Theme>)
        .build();
    if let Err(error) = made {
        tracing::error!(%error, "the window could not be opened; calls still pass");
    }
}
