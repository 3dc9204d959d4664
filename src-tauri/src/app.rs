//! The only file that knows every crate: wiring and lifetime.
//!
//! [`serve`] is a running Tollgate: gateway and management router on the loopback
//! listeners, the control socket beside them, one ledger behind both. [`Offline`] is the
//! ledger and the router without any of that, for a command that found nobody running.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use api::auth::Local;
use api::otlp::Names;
use api::problem::Problem;
use api::readers::Readers;
use axum::extract::Extension;
use axum::routing::post;
use axum::{Json, Router};
use gateway::{Gateway, Lifetime, listener};
use serde::{Deserialize, Serialize};
use store::{Ledger, Questions, Recorder};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::attribution::Attribution;
use crate::config::Config;
use crate::front::Front;
use crate::home::{Home, HomeLock};
use crate::jobs::alerts::{self, Teller};
use crate::jobs::prune::Pruning;
use crate::jobs::{backup, budgets, deployments, exports, otlp, price_refresh};
use crate::onlookers::Onlookers;
use crate::session::Sessions;
use crate::settings::{Settings, refused};
use crate::{control, logging, open_files, own_prices, port_holder};

/// How long the ledger may take to write what is left.
const CLOSING: Duration = Duration::from_secs(5);

/// An address that shows the pages in a browser, once.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PageAddress {
    pub(crate) url: String,
}

/// Serves until told to stop.
///
/// # Errors
/// Fails when the home is taken, the configuration is wrong or an address cannot be used.
pub(crate) fn serve(listen: &[SocketAddr]) -> anyhow::Result<()> {
    let home = Home::find()?;
    let lock = home.lock()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let running = runtime.block_on(Running::start(home, lock, listen, teller()))?;
    running.announce()?;
    let (served, rest) = runtime.block_on(running.ended());
    // The runtime goes first: with it goes every task that may still hold the ledger.
    drop(runtime);
    rest.close();
    served
}

/// What tells the desktop of alerts where there is no window to open.
fn teller() -> Teller {
    #[cfg(feature = "desktop")]
    return Arc::new(|event| crate::desktop::notify::tell(event, None));
    #[cfg(not(feature = "desktop"))]
    Arc::new(|_| ())
}

/// A gateway that takes calls, and the management router beside it.
pub(crate) struct Running {
    settings: Arc<Settings>,
    lock: HomeLock,
    #[cfg_attr(not(feature = "desktop"), expect(dead_code, reason = "the window's"))]
    lifetime: Lifetime,
    /// Where it listens; never empty.
    pub(crate) addresses: Vec<SocketAddr>,
    /// The management router, for callers of this process.
    #[cfg_attr(not(feature = "desktop"), expect(dead_code, reason = "the window's"))]
    pub(crate) router: Router,
    /// A number that changes after the ledger did.
    #[cfg_attr(not(feature = "desktop"), expect(dead_code, reason = "the window's"))]
    pub(crate) revision: watch::Receiver<u64>,
    sessions: Arc<Sessions>,
    served: JoinHandle<anyhow::Result<()>>,
}

impl Running {
    /// Opens the ledger of a home whose lock the caller holds, and takes calls.
    ///
    /// # Errors
    /// Fails when the configuration is wrong or an address cannot be used.
    pub(crate) async fn start(
        home: Home,
        lock: HomeLock,
        listen: &[SocketAddr],
        tell: Teller,
    ) -> anyhow::Result<Self> {
        let config = Config::load(&home.config())?;
        // Whoever wrote wrong prices wants to hear of it now, not when the bill is wrong.
        own_prices::read(&home, &config)?;
        logging::start(&home.logs());
        let listeners = bind(&config, listen).await?;
        let addresses: Vec<SocketAddr> =
            listeners.iter().map(TcpListener::local_addr).collect::<Result<_, _>>()?;
        let ledger = Arc::new(Ledger::open_or_degraded(home.path())?);
        let settings = Settings::new(config, home, ledger);
        let _ = settings.addresses.set(Vec::clone(&addresses));
        let lifetime = Lifetime::default();
        let (router, revision) = settings.router();
        let sessions = Arc::<Sessions>::default();
        let home = settings.home.clone();
        let readers = Readers::new(Box::new(move || Questions::open(home.path())));
        let [alerts, notes] = [(); 2].map(|()| Arc::clone(&settings.alerts));
        let budgets = Arc::clone(&settings.budgets);
        let budgets = budgets::keep_count(budgets, notes, revision.clone(), Arc::clone(&tell));
        let alerts = alerts::watch_over(alerts, readers, revision.clone(), tell);
        let watch = deployments::Watch {
            home: settings.home.path().to_owned(),
            ledger: Arc::clone(&settings.ledger),
            book: Arc::clone(&settings.deployments),
            every: settings.config.server_status,
            client: std::sync::OnceLock::new(),
        };
        let deployments = deployments::keep_watch(watch, revision.clone());
        let watching = async move { tokio::join!(alerts, budgets, deployments) };
        let serving = serving(&settings, listeners, &router, &sessions, &lifetime, watching)?;
        let (served, router) = (tokio::spawn(serving), router.layer(Extension(Local)));
        Ok(Self { settings, lock, lifetime, addresses, router, revision, sessions, served })
    }

    /// How to end it from outside.
    #[cfg(feature = "desktop")]
    pub(crate) fn lifetime(&self) -> Lifetime {
        self.lifetime.clone()
    }

    /// Waits until it takes no more calls and those that ran are over.
    pub(crate) async fn ended(self) -> (anyhow::Result<()>, Closing) {
        let served = self.served.await.context("serving stumbled").flatten();
        (served, Closing { settings: self.settings, _lock: self.lock })
    }

    /// Says where Tollgate can be reached, on standard output.
    fn announce(&self) -> anyhow::Result<()> {
        announce(&self.settings.home, &self.addresses, &self.settings.ledger, &self.sessions)
    }
}

/// What is left of a gateway that takes no more calls: the open ledger.
pub(crate) struct Closing {
    settings: Arc<Settings>,
    _lock: HomeLock,
}

impl Closing {
    /// Writes what is left and lets go of the home. Every task that may still hold the
    /// ledger should be gone.
    pub(crate) fn close(self) {
        let Self { settings, _lock } = self;
        close(settings);
    }
}

/// Everything that answers, as one future that ends after `lifetime` said stop.
fn serving<W: Future<Output: Send> + Send + 'static>(
    settings: &Arc<Settings>,
    listeners: Vec<TcpListener>,
    router: &Router,
    sessions: &Arc<Sessions>,
    lifetime: &Lifetime,
    watching: W,
) -> anyhow::Result<impl Future<Output = anyhow::Result<()>> + use<W>> {
    let (ledger, snapshot) = (&settings.ledger, settings.publish.subscribe());
    let gateway = Gateway::new(
        snapshot.clone(),
        mint(ledger.recorder()),
        open(ledger.recorder(), settings.onlookers.clone()),
        lifetime.clone(),
    )
    .context("could not set up connections to providers")?;
    let base = base_of(listeners.first().context("there is no address")?.local_addr()?);
    let on_socket = router.clone().merge(page_address(sessions, base));
    let control = control::serve(&settings.home, on_socket, lifetime.stop.clone())?;
    let (router, ledger) = (router.clone(), Arc::clone(ledger));
    let limits = listener::Limits { connections: open_files::connections(), ..<_>::default() };
    let attribution = settings.config.local_process.then(Attribution::start).transpose()?;
    let attribution = attribution.map(Arc::new);
    let sessions = Arc::clone(sessions);
    let front = Front { gateway, router, snapshot, ledger, sessions, attribution };
    let lifetime = lifetime.clone();
    let every = settings.config.price_refresh.as_ref().and_then(|from| from.every);
    let fresh = every.map(|every| price_refresh::keep_fresh(every, settings.refresh_later()));
    let (told, names) = (CancellationToken::new(), Names::of(&settings.config.providers));
    let post = settings.onlookers.post.as_ref();
    let exporter = post.map(|post| post.exporter(names, told.clone())).transpose()?.flatten();
    let pruning =
        settings.config.prune.map(|plan| Pruning { ledger: Arc::clone(&settings.ledger), plan });
    let (home, plan) = (settings.home.clone(), settings.config.backup.clone());
    let copies = backup::keep_backed_up(home, plan, pruning);
    let workshop = Arc::clone(&settings.workshop);
    let inspector = settings.inspector.clone();
    Ok(async move {
        let control = tokio::spawn(control);
        let signals = tokio::spawn(stop_on_signal(lifetime.clone()));
        let fresh = fresh.map(tokio::spawn);
        let exporter = exporter.map(|exporter| tokio::spawn(exporter.run()));
        let watching = tokio::spawn(watching);
        let copies = tokio::spawn(copies);
        let inspecting = tokio::spawn(inspector.keep_time());
        let tidy = tokio::spawn(exports::keep_tidy(Arc::clone(&workshop)));
        let stop = lifetime.stop.clone();
        let served = listener::serve_apart(listeners, limits, lifetime, move |request, peer| {
            let front = front.clone();
            async move { front.answer(request, peer).await }
        })
        .await;
        stop.cancel();
        signals.abort();
        watching.abort();
        copies.abort();
        inspecting.abort();
        tidy.abort();
        if tokio::task::spawn_blocking(move || workshop.close()).await.is_err() {
            tracing::error!("ending exports panicked");
        }
        if let Some(fresh) = fresh {
            fresh.abort();
        }
        told.cancel();
        if let Some(exporter) = exporter {
            let _ = tokio::time::timeout(otlp::FAREWELL, exporter).await;
        }
        control.await.context("the control socket's task failed")?;
        served.context("calls could not be served")
    })
}

/// Opens every address; of the two default ones, one is enough.
async fn bind(config: &Config, listen: &[SocketAddr]) -> anyhow::Result<Vec<TcpListener>> {
    let (wanted, all_must_work) = match listen {
        [] => (config.listen.as_slice(), config.listen_is_explicit),
        given => (given, true),
    };
    let mut listeners = Vec::new();
    for address in wanted {
        if !address.ip().is_loopback() {
            bail!(
                "`{address}` can be reached from outside this machine, where everybody could spend your keys\n\
                 hint: listen on 127.0.0.1 or [::1]; other addresses come with passes that calls must show"
            );
        }
        match TcpListener::bind(address).await {
            Ok(listener) => listeners.push(listener),
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
                let holder = port_holder::of(address.port());
                let by = holder.map_or_else(String::new, |holder| format!(" by {holder}"));
                bail!(
                    "the address `{address}` is in use{by}\nhint: stop that program, or choose another address with --listen 127.0.0.1:PORT"
                );
            }
            Err(error) if all_must_work => {
                return Err(error).with_context(|| format!("could not listen on `{address}`"));
            }
            Err(error) => tracing::info!(%address, %error, "not listening"),
        }
    }
    if listeners.is_empty() {
        bail!(
            "there is no loopback address to listen on\nhint: name one with --listen ADDRESS:PORT"
        );
    }
    Ok(listeners)
}

/// The ledger and the management router, for a command that found nobody running.
pub(crate) struct Offline {
    settings: Arc<Settings>,
    _lock: HomeLock,
}

impl Offline {
    /// Opens the ledger of a home whose lock the caller holds.
    ///
    /// # Errors
    /// Fails when the configuration is wrong or the ledger cannot be opened.
    pub(crate) fn open(home: &Home, lock: HomeLock) -> anyhow::Result<Self> {
        let config = Config::load(&home.config())?;
        let ledger = Arc::new(Ledger::open(home.path())?);
        Ok(Self { settings: Settings::new(config, home.clone(), ledger), _lock: lock })
    }

    /// The router, for callers of this process.
    pub(crate) fn router(&self) -> Router {
        self.settings.router().0.layer(Extension(Local))
    }

    /// Closes the ledger.
    pub(crate) fn close(self) {
        let Self { settings, _lock } = self;
        close(settings);
    }
}

/// Writes what is left; whoever still shares the ledger closes it later, by dropping it.
fn close(settings: Arc<Settings>) {
    let ledger = Arc::clone(&settings.ledger);
    // Others in the settings share the ledger, so they go first.
    drop(settings);
    match Arc::into_inner(ledger) {
        Some(ledger) => ledger.close(CLOSING),
        None => tracing::warn!("the ledger is still in use and is left to the next start"),
    }
}

fn mint(recorder: Recorder) -> gateway::Mint {
    Arc::new(move |now| recorder.mint(now))
}

fn open(recorder: Recorder, onlookers: Onlookers) -> gateway::Open {
    Arc::new(move |draft| {
        onlookers.begun(draft);
        let (recorder, ticket) = (recorder.clone(), recorder.open(draft));
        let onlookers = onlookers.clone();
        Box::new(move |finished| {
            onlookers.finished(&finished);
            let provider = finished.outcome.is_some().then(|| finished.receipt.provider.clone());
            ticket.finish(finished.receipt);
            if let (Some(provider), Some(job)) = (provider, finished.outcome) {
                recorder.settle(&provider, &job.response_id, job.settlement);
            }
        })
    })
}

fn base_of(address: SocketAddr) -> String {
    format!("http://{address}")
}

/// What only the control socket can be asked: an address that opens the pages.
fn page_address(sessions: &Arc<Sessions>, base: String) -> Router {
    let sessions = Arc::clone(sessions);
    let make = move || async move {
        let url = sessions.address(&base).map_err(|error| refused(&error))?;
        Ok::<_, Problem>(Json(PageAddress { url }))
    };
    Router::new().route("/api/v1/page-address", post(make))
}

/// Says where Tollgate can be reached, once it can.
fn announce(
    home: &Home,
    addresses: &[SocketAddr],
    ledger: &Ledger,
    sessions: &Sessions,
) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "Tollgate {} is open", env!("CARGO_PKG_VERSION"))?;
    for address in addresses {
        writeln!(out, "  gateway  http://{address}")?;
    }
    let base = base_of(addresses[0]);
    writeln!(out, "  pages    {}", sessions.address(&base)?)?;
    writeln!(out, "  ledger   {}", home.path().join("ledger.db").display())?;
    if let Some(problem) = ledger.health().problem {
        writeln!(out, "  problem  {problem}; calls pass, receipts wait")?;
    }
    writeln!(
        out,
        "\nPoint your tools at it:\n  export OPENAI_BASE_URL={base}/v1\n  export ANTHROPIC_BASE_URL={base}\n\n\
         A first call, no key needed:\n  curl {base}/demo/v1/chat/completions -H 'content-type: application/json' \\\n    \
         -d '{{\"model\":\"demo\",\"messages\":[{{\"role\":\"user\",\"content\":\"Hello\"}}]}}'\n  tollgate requests --demo\n"
    )?;
    out.flush()?;
    Ok(())
}

/// The first signal lets running streams end by themselves, the second cuts them.
async fn stop_on_signal(lifetime: Lifetime) {
    signal().await;
    eprintln!("Stopping; running streams may take a moment (again to cut them)");
    lifetime.stop.cancel();
    signal().await;
    lifetime.cut.cancel();
}

#[cfg(unix)]
async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Ctrl-C, the console's closing, and the end of the session.
#[cfg(windows)]
async fn signal() {
    use tokio::signal::windows::{ctrl_c, ctrl_close, ctrl_shutdown};
    let (Ok(mut interrupt), Ok(mut close), Ok(mut shutdown)) =
        (ctrl_c(), ctrl_close(), ctrl_shutdown())
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = close.recv() => {}
        _ = shutdown.recv() => {}
    }
}
