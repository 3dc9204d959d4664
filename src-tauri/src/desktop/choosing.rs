//! The tray's submenus in which one chooses what stands beside the icon. Owns their ticks; what
//! is chosen belongs to [`super::choice`].

use meter::Currency;
use tauri::menu::{CheckMenuItem, Submenu};
use tauri::{AppHandle, Manager as _, Wry};

use super::choice::{Choice, Chosen, Span};

/// What the identifiers of spans begin with.
const SPAN: &str = "span/";
/// What the identifiers of currencies begin with; nothing behind it: as it was charged.
const CURRENCY: &str = "currency/";

const SPANS: [(Span, &str, &str); 3] = [
    (Span::Today, "span/today", "Today"),
    (Span::Week, "span/week", "7 days"),
    (Span::Month, "span/month", "This month"),
];

/// The two submenus.
pub(super) struct Choosing {
    /// Which days.
    pub(super) span: Submenu<Wry>,
    /// Which currency, of those that there are exchange rates for.
    pub(super) currency: Submenu<Wry>,
    spans: Vec<CheckMenuItem<Wry>>,
    currencies: Vec<(Option<Currency>, CheckMenuItem<Wry>)>,
}

impl Choosing {
    /// Builds them, with nothing ticked yet.
    pub(super) fn build(app: &AppHandle) -> tauri::Result<Self> {
        let span = Submenu::new(app, "Beside the icon", true)?;
        let spans = SPANS.into_iter().map(|(_, id, text)| unticked(app, id, text));
        let spans = spans.collect::<tauri::Result<Vec<_>>>()?;
        for item in &spans {
            span.append(item)?;
        }
        let currency = Submenu::new(app, "Currency", false)?;
        Ok(Self { span, currency, spans, currencies: Vec::new() })
    }

    /// Ticks what is chosen and offers the currencies that can be chosen now.
    pub(super) fn show(&mut self, choice: Choice, known: &[Currency]) -> tauri::Result<()> {
        for ((span, ..), item) in SPANS.iter().zip(&self.spans) {
            item.set_checked(*span == choice.span)?;
        }
        let offered = || known.iter().copied().map(Some).chain([None]);
        if !self.currencies.iter().map(|(offered, _)| *offered).eq(offered()) {
            for (_, item) in self.currencies.drain(..) {
                self.currency.remove(&item)?;
            }
            for currency in offered() {
                let letters = currency.as_ref().map(Currency::as_str);
                let id = format!("{CURRENCY}{}", letters.unwrap_or_default());
                let text = letters.unwrap_or("As charged");
                let item = unticked(self.currency.app_handle(), &id, text)?;
                self.currency.append(&item)?;
                self.currencies.push((currency, item));
            }
        }
        self.currency.set_enabled(!known.is_empty() || choice.currency.is_some())?;
        for (currency, item) in &self.currencies {
            item.set_checked(*currency == choice.currency)?;
        }
        Ok(())
    }
}

fn unticked(app: &AppHandle, id: &str, text: &str) -> tauri::Result<CheckMenuItem<Wry>> {
    CheckMenuItem::with_id(app, id, text, true, false, None::<&str>)
}

/// Chooses what was clicked; says whether `id` was one of these items.
pub(super) fn clicked(app: &AppHandle, id: &str) -> bool {
    let chosen = app.state::<Chosen>();
    let kept = if id.starts_with(SPAN) {
        let Some((span, ..)) = SPANS.into_iter().find(|(_, known, _)| *known == id) else {
            return false;
        };
        chosen.change(|choice| choice.span = span)
    } else if let Some(letters) = id.strip_prefix(CURRENCY) {
        chosen.change(|choice| choice.currency = letters.parse().ok())
    } else {
        return false;
    };
    if let Err(error) = kept {
        tracing::warn!("what the tray shows will be forgotten: {error:#}");
    }
    true
}
