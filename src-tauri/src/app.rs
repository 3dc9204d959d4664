//! The only file that knows every crate: wiring and lifetime.
//!
//! [`serve`] is a running Tollgate: gateway and management router on the loopback
//! listeners, the control socket beside them, one ledger behind both. [`Offline`] is the
//! ledger and the router without any of that, for a command that found nobody running.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::{Context as _, bail};
use api::auth::Local;
use api::prices::Refreshed;
use api::problem::{Code, Problem};
use api::readers::Readers;
use api::router::{Desk, Refresh};
use axum::extract::Extension;
use axum::routing::post;
use axum::{Json, Router};
use gateway::{Gateway, Lifetime, PassInfo, PassTable, Snapshot, Timeouts, guard, listener};
use http::{Method, Request, Response, header};
use http_body_util::Either;
use hyper::body::Incoming;
use meter::Timestamp;
use meter::price::Book;
use serde::{Deserialize, Serialize};
use store::{Ledger, PassBook, Questions, Recorder, Scope};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tower_service::Service as _;

use crate::config::{Config, PriceRefresh};
use crate::exchange::KeptRates;
use crate::home::{Home, HomeLock};
use crate::jobs::price_refresh::{self, Accepted};
use crate::own_prices::{self, OwnPrices};
use crate::session::{self, Sessions};
use crate::{cli, control, logging, pages, port_holder, price_list};

/// How long the ledger may take to write what is left.
const CLOSING: Duration = Duration::from_secs(5);

/// The body of any answer on the listeners: the gateway's or the management router's.
type AnyBody = Either<gateway::Body, axum::body::Body>;

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
    let running = runtime.block_on(Running::start(home, lock, listen))?;
    running.announce()?;
    let (served, rest) = runtime.block_on(running.ended());
    // The runtime goes first: with it goes every task that may still hold the ledger.
    drop(runtime);
    rest.close();
    served
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
    ) -> anyhow::Result<Self> {
        let config = Config::load(&home.config())?;
        // Whoever wrote wrong prices wants to hear of it now, not when the bill is wrong.
        own_prices::read(&home, &config)?;
        logging::start(&home.logs());
        let listeners = bind(&config, listen).await?;
        let addresses = listeners.iter().map(TcpListener::local_addr).collect::<Result<_, _>>()?;
        let ledger = Arc::new(Ledger::open_or_degraded(home.path())?);
        let settings = Settings::new(config, home, ledger);
        let lifetime = Lifetime::default();
        let (router, revision) = settings.router();
        let sessions = Arc::<Sessions>::default();
        let serving = serving(&settings, listeners, &router, &sessions, &lifetime)?;
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
        if let Some(settings) = Arc::into_inner(settings) {
            close(settings.ledger);
        }
    }
}

/// Everything that answers, as one future that ends after `lifetime` said stop.
fn serving(
    settings: &Arc<Settings>,
    listeners: Vec<TcpListener>,
    router: &Router,
    sessions: &Arc<Sessions>,
    lifetime: &Lifetime,
) -> anyhow::Result<impl Future<Output = anyhow::Result<()>> + use<>> {
    let (ledger, snapshot) = (&settings.ledger, settings.publish.subscribe());
    let gateway = Gateway::new(
        snapshot.clone(),
        mint(ledger.recorder()),
        open(ledger.recorder()),
        lifetime.clone(),
    )
    .context("could not set up connections to providers")?;
    let base = base_of(listeners.first().context("there is no address")?.local_addr()?);
    let on_socket = router.clone().merge(page_address(sessions, base));
    let control = control::serve(&settings.home, on_socket, lifetime.stop.clone())?;
    let (router, ledger) = (router.clone(), Arc::clone(ledger));
    let front = Front { gateway, router, snapshot, ledger, sessions: Arc::clone(sessions) };
    let lifetime = lifetime.clone();
    let every = settings.config.price_refresh.as_ref().and_then(|from| from.every);
    let fresh = every.map(|every| price_refresh::keep_fresh(every, settings.refresh_later()));
    Ok(async move {
        let control = tokio::spawn(control);
        let signals = tokio::spawn(stop_on_signal(lifetime.clone()));
        let fresh = fresh.map(tokio::spawn);
        listener::serve(listeners, listener::Limits::default(), lifetime, move |request, peer| {
            let front = front.clone();
            async move { front.answer(request, peer).await }
        })
        .await;
        signals.abort();
        if let Some(fresh) = fresh {
            fresh.abort();
        }
        control.await.context("the control socket's task failed")
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

/// The settings in force, and everyone who holds a copy of them.
struct Settings {
    config: Config,
    home: Home,
    ledger: Arc<Ledger>,
    passes: RwLock<PassBook>,
    own_prices: OwnPrices,
    /// Held while prices are fetched, so that two never overtake each other.
    refreshing: tokio::sync::Mutex<()>,
    exchange: KeptRates,
    publish: watch::Sender<Arc<Snapshot>>,
}

impl Settings {
    fn new(config: Config, home: Home, ledger: Arc<Ledger>) -> Arc<Self> {
        let publish = watch::Sender::new(Arc::default());
        let (own_prices, passes) = (OwnPrices::default(), RwLock::default());
        own_prices.begin(price_list::newest(&home, config.price_refresh.as_ref()));
        let (refreshing, exchange) = (tokio::sync::Mutex::default(), KeptRates::default());
        let settings =
            Self { config, home, ledger, passes, own_prices, refreshing, exchange, publish };
        settings.renew();
        Arc::new(settings)
    }

    /// Reads what may have changed and hands it out. While the ledger cannot be read, what
    /// was known stays in force.
    fn renew(&self) {
        match self.ledger.pass_book() {
            Ok(book) => *self.passes.write().unwrap_or_else(PoisonError::into_inner) = book,
            Err(error) => tracing::error!("could not read the passes: {error}"),
        }
        if let Err(error) = self.own_prices.renew(&self.home, &self.config) {
            tracing::error!("the prices stay as they were: {error:#}");
        }
        self.publish.send_replace(Arc::new(self.snapshot()));
    }

    /// Reads the user's own prices anew, puts them in force and hands them out; or hands out
    /// an older list that receipts name.
    fn prices(&self, hash: Option<&str>) -> Result<Arc<Book>, Problem> {
        let read = self.own_prices.renew(&self.home, &self.config);
        if read.map_err(|error| refused(&error))? {
            self.publish.send_replace(Arc::new(self.snapshot()));
        }
        let Some(hash) = hash else { return Ok(self.own_prices.book()) };
        let list = price_list::by_hash(&self.home, self.config.price_refresh.as_ref(), hash);
        let list = list.ok_or_else(|| {
            Problem::new(Code::NotFound, format!("the price book `{hash}` is not kept here")).hint(
                "Kept are the program's own and the last twelve that came by `tollgate prices refresh`; the rates a receipt was valued with stand on its lines.",
            )
        })?;
        let own = own_prices::before(&self.home, &self.config, list);
        own.map(Arc::new).map_err(|error| refused(&error))
    }

    /// Fetches newer prices and puts them in force, for every call from then on.
    async fn refresh(self: Arc<Self>) -> Result<Refreshed, Problem> {
        let from = self.config.price_refresh.clone().ok_or_else(price_refresh::nowhere)?;
        let _turn = self.refreshing.lock().await;
        let bytes = price_refresh::fetched(&from).await?;
        let settings = Arc::clone(&self);
        let put = tokio::task::spawn_blocking(move || settings.put_prices(&from, &bytes));
        put.await.unwrap_or_else(|_| {
            Err(Problem::new(Code::Internal, "the new prices could not be checked"))
        })
    }

    fn put_prices(&self, from: &PriceRefresh, bytes: &[u8]) -> Result<Refreshed, Problem> {
        let Accepted { bundle, list, is_known } =
            price_refresh::accept(&self.home, from, bytes, now())?;
        let keep = || match is_known {
            true => Ok(()),
            false => price_list::keep(&self.home, &bundle, bytes),
        };
        let book = self.own_prices.put(&self.home, &self.config, list, keep);
        let book = book.map_err(|error| price_refresh::refused(from, &format!("{error:#}")))?;
        self.publish.send_replace(Arc::new(self.snapshot()));
        Ok(Refreshed {
            renewed: !is_known,
            sequence: bundle.sequence(),
            made_at: bundle.edition().made_at,
            book_hash: book.hash().to_owned(),
        })
    }

    fn snapshot(&self) -> Snapshot {
        let mut passes = PassTable::default();
        let book = self.passes.read().unwrap_or_else(PoisonError::into_inner);
        for (hash, pass) in book.iter().filter(|(_, pass)| pass.revoked.is_none()) {
            let info = PassInfo {
                label: pass.label.clone(),
                workspace: pass.workspace.clone(),
                may_call: pass.scopes.contains(&Scope::Call),
                expires_at: pass.expires,
            };
            passes.insert(hash, info);
        }
        Snapshot {
            providers: self.config.providers.clone(),
            default_provider: self.config.default_provider.clone(),
            passes,
            allowed_hosts: self.config.allowed_hosts.clone(),
            usage_assist: self.config.usage_assist,
            timeouts: Timeouts {
                connect: self.config.connect_timeout,
                upstream_silence: self.config.idle_timeout,
                ..Timeouts::default()
            },
            book: self.own_prices.book(),
            ..Snapshot::default()
        }
    }

    /// What fetches newer prices whenever it is called.
    fn refresh_later(self: &Arc<Self>) -> Refresh {
        let settings = Arc::clone(self);
        Arc::new(move || Box::pin(Arc::clone(&settings).refresh()))
    }

    fn scopes_of(&self, secret: &str) -> Option<Vec<Scope>> {
        let book = self.passes.read().unwrap_or_else(PoisonError::into_inner);
        book.find(secret, now()).map(|pass| pass.scopes.clone())
    }

    /// The management router over this ledger.
    /// What changes after the ledger did comes with it.
    fn router(self: &Arc<Self>) -> (Router, watch::Receiver<u64>) {
        let (revision, revised) = watch::channel(0_u64);
        self.ledger.on_changed(move || revision.send_modify(|revision| *revision += 1));
        let (home, on_change, scopes) = (self.home.clone(), Arc::clone(self), Arc::clone(self));
        let (prices, exchange) = (Arc::clone(self), Arc::clone(self));
        let router = api::router::router(Desk {
            readers: Readers::new(Box::new(move || Questions::open(home.path()))),
            ledger: Arc::clone(&self.ledger),
            on_change: Arc::new(move || on_change.renew()),
            scopes: Arc::new(move |secret| scopes.scopes_of(secret)),
            prices: Arc::new(move |hash| prices.prices(hash)),
            refresh: self.refresh_later(),
            exchange: Arc::new(move || {
                exchange.exchange.read(&exchange.home).map_err(|error| refused(&error))
            }),
            revision: revised.clone(),
            clock: Arc::new(now),
            zone: cli::zone(),
        });
        (router, revised)
    }
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
        if let Some(settings) = Arc::into_inner(settings) {
            close(settings.ledger);
        }
    }
}

/// Writes what is left; whoever still shares the ledger closes it later, by dropping it.
fn close(ledger: Arc<Ledger>) {
    if let Some(ledger) = Arc::into_inner(ledger) {
        ledger.close(CLOSING);
    }
}

fn refused(error: &anyhow::Error) -> Problem {
    let said = format!("{error:#}");
    let (message, hint) = said.split_once("\nhint: ").unwrap_or((&said, "mend it"));
    Problem::new(Code::Conflict, message).hint(hint)
}

pub(crate) fn now() -> Timestamp {
    Timestamp::from(chrono::Utc::now())
}

fn mint(recorder: Recorder) -> gateway::Mint {
    Arc::new(move |now| recorder.mint(now))
}

fn open(recorder: Recorder) -> gateway::Open {
    Arc::new(move |draft| {
        let (recorder, ticket) = (recorder.clone(), recorder.open(draft));
        Box::new(move |finished| {
            let provider = finished.outcome.is_some().then(|| finished.receipt.provider.clone());
            ticket.finish(finished.receipt);
            if let (Some(provider), Some(job)) = (provider, finished.outcome) {
                recorder.settle(&provider, &job.response_id, job.settlement);
            }
        })
    })
}

/// What answers on the listeners.
#[derive(Clone)]
struct Front {
    gateway: Gateway,
    router: Router,
    snapshot: watch::Receiver<Arc<Snapshot>>,
    ledger: Arc<Ledger>,
    sessions: Arc<Sessions>,
}

impl Front {
    /// The guard first, no path exempt; then by the first segment.
    async fn answer(
        mut self,
        request: Request<Incoming>,
        peer: listener::Peer,
    ) -> Response<AnyBody> {
        let allowed = Arc::clone(&self.snapshot.borrow());
        let port = peer.local.port();
        if let Err(why) =
            guard::check(request.uri(), request.headers(), port, &allowed.allowed_hosts)
        {
            return self.gateway.turn_away(&request, &why).map(Either::Left);
        }
        match request.uri().path() {
            "/healthz" => health(&self.ledger).map(Either::Right),
            session::PATH => self.sessions.open(request.uri(), port).map(Either::Right),
            path if path == "/api" || path.starts_with("/api/") => {
                let mut request = request.map(axum::body::Body::new);
                if self.sessions.knows(request.headers(), port) {
                    request.extensions_mut().insert(Local);
                }
                let Ok(answer) = self.router.call(request).await;
                answer.map(Either::Right)
            }
            path if pages::own(path) && matches!(*request.method(), Method::GET | Method::HEAD) => {
                pages::answer(path, request.headers()).map(Either::Right)
            }
            _ => self.gateway.answer(request).await.map(Either::Left),
        }
    }
}

/// 200 as long as calls are taken; says how recording is doing.
fn health(ledger: &Ledger) -> Response<axum::body::Body> {
    let health = ledger.health();
    let whole = health.problem.is_none() && health.lost == 0;
    let json = serde_json::json!({
        "status": if whole { "ok" } else { "degraded" },
        "version": env!("CARGO_PKG_VERSION"),
        "recorded": health.recorded,
        "waiting": health.waiting,
        "spilled": health.spilled,
        "lost": health.lost,
        "unregistered": health.unregistered,
        "problem": health.problem,
    });
    text("application/json", json.to_string())
}

fn text(kind: &'static str, body: String) -> Response<axum::body::Body> {
    let mut answer = Response::new(axum::body::Body::from(body));
    answer.headers_mut().insert(header::CONTENT_TYPE, http::HeaderValue::from_static(kind));
    answer
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
