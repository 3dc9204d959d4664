//! The gateway behind the window: our own, or that of a `tollgate serve` which already holds
//! the home. Knows how to reach the management router either way, and takes the home over
//! when its holder goes.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use api::alerts::Alerts;
use api::budgets::Budgets;
use api::limits::KnownLimits;
use api::period::Here;
use api::problem::{Code, ErrorBody, Problem};
use api::readers::Readers;
use axum::Router;
use axum::http::{Method, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use meter::exchange::ExchangeRates;
use serde_json::Value;
use store::Questions;
use tauri::AppHandle;
use tokio::sync::watch;

use crate::app::{Closing, Running};
use crate::exchange::KeptRates;
use crate::home::{Home, Lock};
use crate::jobs::alerts::Teller;
use crate::settings::now;
use crate::{cli, control};

/// Between two looks at whether a shut gate can be opened.
const AGAIN: Duration = Duration::from_secs(5);

/// Who takes the calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// We do, at these addresses.
    Open(Vec<SocketAddr>),
    /// Another process that holds the home.
    Attached,
    /// Nobody; the sentence says why.
    Shut(String),
}

/// The gateway, wherever it runs.
pub(super) struct Gate {
    home: Home,
    readers: Arc<Readers>,
    rates: KeptRates,
    router: RwLock<Option<Router>>,
    running: Mutex<Option<Running>>,
    standing: watch::Sender<Standing>,
    revision: watch::Sender<u64>,
    /// Tells the desktop of alerts while the gateway is ours.
    tell: Teller,
}

impl Gate {
    /// Takes the home and opens the gateway, or leaves both to the process that has them.
    ///
    /// # Errors
    /// Fails when the home cannot be used at all.
    pub(super) async fn open(home: Home, tell: Teller) -> anyhow::Result<Arc<Self>> {
        let lock = home.try_lock()?;
        let gate = Self::with(home, tell);
        match lock {
            Lock::Taken(lock) => {
                let started =
                    Running::start(gate.home.clone(), lock, &[], Arc::clone(&gate.tell)).await;
                gate.adopt(started);
            }
            Lock::Held(_) => {}
        }
        Ok(gate)
    }

    /// The gateway of whoever holds the home.
    pub(super) fn of_holder(home: Home) -> Arc<Self> {
        Self::with(home, Arc::new(|_| ()))
    }

    fn with(home: Home, tell: Teller) -> Arc<Self> {
        let reading = home.clone();
        Arc::new(Self {
            readers: Readers::new(Box::new(move || Questions::open(reading.path()))),
            home,
            rates: KeptRates::default(),
            router: RwLock::default(),
            running: Mutex::default(),
            standing: watch::Sender::new(Standing::Attached),
            revision: watch::Sender::new(0),
            tell,
        })
    }

    fn adopt(&self, started: anyhow::Result<Running>) {
        match started {
            Ok(running) => {
                let standing = Standing::Open(running.addresses.clone());
                *self.router.write().unwrap_or_else(PoisonError::into_inner) =
                    Some(running.router.clone());
                *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(running);
                self.standing.send_replace(standing);
                self.changed();
            }
            Err(error) => self.shut_because(&error),
        }
    }

    fn shut_because(&self, error: &anyhow::Error) {
        let said = format!("{error:#}");
        self.standing.send_if_modified(|standing| {
            let shut = Standing::Shut(said.clone());
            let is_news = *standing != shut;
            if is_news {
                tracing::error!("the gate is shut: {said}");
                *standing = shut;
            }
            is_news
        });
    }

    fn changed(&self) {
        self.revision.send_modify(|revision| *revision += 1);
    }

    /// Who takes the calls now, and every change of that.
    pub(super) fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// A number that changes after the ledger did.
    pub(super) fn revision(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }

    /// How the alert rules stand; nothing while nobody can say.
    pub(super) async fn alerts(&self) -> Option<Alerts> {
        let (_, answer) = self.ask(Method::GET, "/api/v1/alerts", None).await;
        serde_json::from_value(answer).ok()
    }

    /// What the providers still allow, as far as anybody can say.
    pub(super) async fn limits(&self) -> KnownLimits {
        let (_, answer) = self.ask(Method::GET, "/api/v1/limits", None).await;
        serde_json::from_value(answer).unwrap_or_default()
    }

    /// How the budgets stand; nothing while nobody can say.
    pub(super) async fn budgets(&self) -> Option<Budgets> {
        let (_, answer) = self.ask(Method::GET, "/api/v1/budgets", None).await;
        serde_json::from_value(answer).ok()
    }

    /// Who reads the ledger.
    pub(super) fn readers(&self) -> &Arc<Readers> {
        &self.readers
    }

    /// The exchange rates there are now; none if they cannot be read.
    pub(super) fn rates(&self) -> Arc<ExchangeRates> {
        self.rates.read(&self.home).unwrap_or_else(|error| {
            tracing::warn!("no amount is converted: {error:#}");
            Arc::default()
        })
    }

    /// The moment and the place of a question asked now.
    pub(super) fn here(&self) -> Here {
        Here { now: now(), zone: cli::zone() }
    }

    /// Puts one management request.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> (StatusCode, Value) {
        let own = self.router.read().unwrap_or_else(PoisonError::into_inner).clone();
        let answered = match own {
            Some(router) => control::ask(router, method, path, body).await,
            None => control::send_to_holder(&self.home, method, path, body).await,
        };
        answered.unwrap_or_else(|error| {
            let why = match &*self.standing.borrow() {
                Standing::Shut(why) => why.clone(),
                Standing::Open(_) | Standing::Attached => format!("{error:#}"),
            };
            let (message, hint) = why.split_once("\nhint: ").unwrap_or((&why, "Try again."));
            let problem = Problem::new(Code::LedgerUnavailable, message).hint(hint);
            let body = serde_json::to_value(ErrorBody { error: problem }).unwrap_or_default();
            (StatusCode::SERVICE_UNAVAILABLE, body)
        })
    }

    /// Asks for something that is too long to be held.
    ///
    /// # Errors
    /// Fails when nobody answers.
    pub(super) async fn stream(&self, path: &str) -> anyhow::Result<Response<Incoming>> {
        control::stream_of_holder(&self.home, path).await
    }

    /// Follows what happens to the gateway, for as long as the app runs.
    pub(super) async fn watch(self: Arc<Self>, app: AppHandle) {
        loop {
            let own = self
                .running
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .as_ref()
                .map(|running| (running.revision.clone(), running.lifetime()));
            if let Some((mut revision, lifetime)) = own {
                tokio::select! {
                    () = lifetime.stop.cancelled() => {
                        // A signal; the app goes with its gateway.
                        app.exit(0);
                        return;
                    }
                    () = async { while revision.changed().await.is_ok() { self.changed() } } => {}
                }
                return;
            }
            self.follow_holder().await;
            match self.home.try_lock() {
                Ok(Lock::Taken(lock)) => {
                    let started =
                        Running::start(self.home.clone(), lock, &[], Arc::clone(&self.tell)).await;
                    self.adopt(started);
                }
                Ok(Lock::Held(_)) => {}
                Err(error) => self.shut_because(&error),
            }
            if !matches!(&*self.standing.borrow(), Standing::Open(_)) {
                tokio::time::sleep(AGAIN).await;
            }
        }
    }

    /// Hears of changes from whoever holds the home, for as long as the window is open.
    pub(super) async fn follow(self: Arc<Self>) {
        loop {
            self.follow_holder().await;
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Hears of changes from the process that holds the home, until it ends.
    async fn follow_holder(&self) {
        let Ok(mut events) = control::events_of_holder(&self.home).await else { return };
        self.standing.send_replace(Standing::Attached);
        self.changed();
        while let Some(Ok(frame)) = events.frame().await {
            // Comments only keep the connection alive.
            if frame.data_ref().is_some_and(|data| data.starts_with(b"event")) {
                self.changed();
            }
        }
    }

    /// Takes no more calls; those that run may take until `patience` is over.
    pub(super) async fn shut(&self, patience: Duration) -> Option<Closing> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        self.router.write().unwrap_or_else(PoisonError::into_inner).take();
        let lifetime = running.lifetime();
        lifetime.stop.cancel();
        let cut = async {
            tokio::time::sleep(patience).await;
            lifetime.cut.cancel();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            (served, rest) = running.ended() => {
                if let Err(error) = served {
                    tracing::error!("the gateway did not end well: {error:#}");
                }
                Some(rest)
            }
            () = cut => None,
        }
    }
}
