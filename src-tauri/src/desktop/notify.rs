//! Tells the desktop of an alert. Where nobody listens, history, tray and log still know.

use api::alerts::AlertEvent;
use notify_rust::Notification;

/// Opens a page of ours.
pub(crate) type OpenPage = Box<dyn FnOnce(&str) + Send>;

/// Shows a notification; `open` is called with its page if somebody clicks it and the
/// desktop knows how to say so.
pub(crate) fn tell(event: &AlertEvent, open: Option<OpenPage>) {
    let occurrence = event.occurrence.clone();
    // A daemon that hangs must hold up nobody, and a click is waited for.
    std::thread::spawn(move || {
        let title = occurrence.rule.unwrap_or_default();
        let mut note = Notification::new();
        note.appname("Tollgate").summary(&title).body(&shown(&occurrence.said)).icon("tollgate");
        match (open, occurrence.page) {
            (Some(open), Some(page)) => show_with_action(&mut note, open, &page),
            (Some(_), None) | (None, _) => show(&note),
        }
    });
}

fn show(note: &Notification) {
    if let Err(error) = note.show() {
        tracing::info!(%error, "no notification daemon took the alert");
    }
}

#[cfg(all(unix, not(target_os = "macos")))]
fn show_with_action(note: &mut Notification, open: OpenPage, page: &str) {
    // `default` is a click on the notification itself.
    match note.action("default", "Show the requests").show() {
        Ok(handle) => handle.wait_for_action(|action| {
            if action == "default" {
                open(page);
            }
        }),
        Err(error) => tracing::info!(%error, "no notification daemon took the alert"),
    }
}

#[cfg(not(all(unix, not(target_os = "macos"))))]
fn show_with_action(note: &mut Notification, _: OpenPage, _: &str) {
    show(note);
}

/// Names come from outside; a daemon that reads markup must see none in them.
#[cfg(all(unix, not(target_os = "macos")))]
fn shown(said: &str) -> String {
    let reads_markup =
        notify_rust::get_capabilities().is_ok_and(|can| can.iter().any(|one| one == "body-markup"));
    match reads_markup {
        true => said.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"),
        false => said.to_owned(),
    }
}

#[cfg(not(all(unix, not(target_os = "macos"))))]
fn shown(said: &str) -> String {
    said.to_owned()
}
