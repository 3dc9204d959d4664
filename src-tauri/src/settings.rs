//! What is in force: configuration, passes and prices, and everyone who holds a copy of them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use api::alerts::AlertDesk;
use api::budgets::BudgetDesk;
use api::deployments::DeploymentDesk;
use api::exports::Workshop;
use api::keys::KeyRing;
use api::prices::{Refreshed, TellPrice};
use api::problem::{Code, Problem};
use api::prune::LedgerCopy;
use api::readers::Readers;
use api::router::{Desk, Refresh};
use api::routes::RouteDesk;
use api::status::{GateStatus, LedgerStatus, ProviderStatus};
use axum::Router;
use gateway::inspect::Inspector;
use gateway::{PassInfo, PassTable, Snapshot, Timeouts};
use meter::Timestamp;
use meter::price::Book;
use store::{Backup, Ledger, PassBook, Questions, Scope, StoreError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::alert_book::AlertBook;
use crate::budget_book::{BudgetBook, Renamed};
use crate::config::{Config, PriceRefresh};
use crate::deployment_book::DeploymentBook;
use crate::exchange::KeptRates;
use crate::home::Home;
use crate::jobs::otlp::Post;
use crate::jobs::price_refresh::{self, Accepted};
use crate::key_ring::Ring;
use crate::onlookers::Onlookers;
use crate::own_prices::{self, OwnPrices};
use crate::route_book::{Around, RouteBook};
use crate::{cli, inspecting, jobs, price_list};

/// The settings in force, and everyone who holds a copy of them.
pub(crate) struct Settings {
    pub(crate) config: Config,
    pub(crate) home: Home,
    pub(crate) ledger: Arc<Ledger>,
    passes: RwLock<PassBook>,
    /// What cuts the calls of each pass, by its row.
    cuts: Mutex<HashMap<i64, CancellationToken>>,
    /// What workspaces are called now, by the names they had.
    workspaces: RwLock<HashMap<Box<str>, Box<str>>>,
    own_prices: OwnPrices,
    /// Held while prices are fetched, so that two never overtake each other.
    refreshing: tokio::sync::Mutex<()>,
    exchange: KeptRates,
    keys: Arc<Ring>,
    pub(crate) alerts: Arc<AlertBook>,
    pub(crate) budgets: Arc<BudgetBook>,
    pub(crate) deployments: Arc<DeploymentBook>,
    routes: Arc<RouteBook>,
    pub(crate) onlookers: Onlookers,
    /// Holds calls of passes that are looked at.
    pub(crate) inspector: Inspector,
    /// Makes exports in the background.
    pub(crate) workshop: Arc<Workshop>,
    /// Where listeners listen, once they do.
    pub(crate) addresses: OnceLock<Vec<SocketAddr>>,
    pub(crate) publish: watch::Sender<Arc<Snapshot>>,
}

impl Settings {
    pub(crate) fn new(config: Config, home: Home, ledger: Arc<Ledger>) -> Arc<Self> {
        let publish = watch::Sender::new(Arc::default());
        let (own_prices, passes) = (OwnPrices::default(), RwLock::default());
        own_prices.begin(price_list::newest(&home, config.price_refresh.as_ref()));
        let (refreshing, exchange) = (tokio::sync::Mutex::default(), KeptRates::default());
        let alerts = AlertBook::open(home.clone(), config.alerts.clone());
        let budgets = BudgetBook::open(home.clone(), Arc::clone(&ledger), config.budgets.clone());
        let deployments = DeploymentBook::open(home.clone(), config.deployments.clone());
        let addresses = OnceLock::new();
        let keys = Ring::of(&home, &config.providers);
        let reads = home.path().to_owned();
        let open = Box::new(move || Questions::open(&reads));
        let workshop = Workshop::new(home.exports(), open, Arc::new(now));
        let routes = RouteBook::open(home.clone(), config.routes.clone());
        let onlookers = Onlookers::of(&config, Arc::clone(&routes));
        let settings = Self {
            config,
            home,
            ledger,
            passes,
            cuts: Mutex::default(),
            workspaces: RwLock::default(),
            own_prices,
            refreshing,
            exchange,
            keys,
            alerts,
            budgets,
            deployments,
            routes,
            onlookers,
            inspector: Inspector::default(),
            workshop,
            addresses,
            publish,
        };
        settings.renew();
        let settings = Arc::new(settings);
        settings.unlock_keys();
        settings.routes.learn();
        settings
    }

    /// Reads stored keys in the background: a keychain may ask the user first, and calls that
    /// bring their own key need not wait for that.
    fn unlock_keys(self: &Arc<Self>) {
        if self.keys.is_empty() {
            return;
        }
        let settings = Arc::clone(self);
        let unlock = move || {
            settings.keys.unlock();
            settings.publish.send_replace(Arc::new(settings.snapshot()));
        };
        if let Err(error) = std::thread::Builder::new().name("keys".into()).spawn(unlock) {
            tracing::error!(%error, "stored keys are not read");
        }
    }

    /// Reads what may have changed and hands it out. While the ledger cannot be read, what
    /// was known stays in force.
    fn renew(&self) {
        if let Err(error) = self.renew_names() {
            tracing::error!("could not read the passes: {error}");
        }
        if let Err(error) = self.own_prices.renew(&self.home, &self.config) {
            tracing::error!("the prices stay as they were: {error:#}");
        }
        self.publish.send_replace(Arc::new(self.snapshot()));
    }

    fn renew_names(&self) -> Result<(), StoreError> {
        let (passes, workspaces) = (self.ledger.pass_book()?, self.ledger.workspace_names()?);
        self.budgets
            .follow(Renamed { passes: self.ledger.pass_names()?, workspaces: workspaces.clone() });
        *self.passes.write().unwrap_or_else(PoisonError::into_inner) = passes;
        *self.workspaces.write().unwrap_or_else(PoisonError::into_inner) = workspaces;
        Ok(())
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

    /// Adds a price to the user's own, for every call from then on.
    fn tell_price(&self, told: &TellPrice) -> Result<Arc<Book>, Problem> {
        own_prices::tell(&self.home, &self.config, told).map_err(|error| refused(&error))?;
        self.prices(None)
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
        let mut cuts = self.cuts.lock().unwrap_or_else(PoisonError::into_inner);
        for (hash, pass) in book.iter().filter(|(_, pass)| pass.revoked.is_none()) {
            let info = PassInfo {
                label: pass.label.clone(),
                workspace: pass.workspace.clone(),
                may_call: pass.scopes.contains(&Scope::Call),
                expires_at: pass.expires,
                allowance: pass.allowance.clone(),
                cut: cuts.entry(pass.id).or_default().clone(),
            };
            passes.insert(hash, info);
        }
        Snapshot {
            providers: self.config.providers.clone(),
            default_provider: self.config.default_provider.clone(),
            passes,
            workspaces: self.workspaces.read().unwrap_or_else(PoisonError::into_inner).clone(),
            allowed_hosts: self.config.allowed_hosts.clone(),
            usage_assist: self.config.usage_assist,
            response_meta: self.config.response_meta,
            metadata_tags: self.config.metadata_tags,
            trace_upstream: self.config.otlp.as_ref().is_some_and(|otlp| otlp.propagate),
            timeouts: Timeouts {
                connect: self.config.connect_timeout,
                upstream_silence: self.config.idle_timeout,
                ..Timeouts::default()
            },
            book: self.own_prices.book(),
            budgets: Arc::clone(&self.budgets.counting),
            keys: self.keys.table(),
            routes: self.routes.in_force(),
            inspector: self.inspector.clone(),
            ..Snapshot::default()
        }
    }

    /// What fetches newer prices whenever it is called.
    pub(crate) fn refresh_later(self: &Arc<Self>) -> Refresh {
        let settings = Arc::clone(self);
        Arc::new(move || Box::pin(Arc::clone(&settings).refresh()))
    }

    fn status(&self) -> GateStatus {
        let health = self.ledger.health();
        let file = std::fs::metadata(self.home.path().join("ledger.db"));
        let addresses = self.addresses.get().map(Vec::as_slice).unwrap_or_default();
        let providers = self.config.providers.iter().map(|provider| ProviderStatus {
            id: provider.id.to_string(),
            name: provider.name.to_string(),
            base_url: provider.base_url.as_deref().map(str::to_owned),
            auth: provider.auth.as_str().to_owned(),
            kind: provider.hosting.as_str().to_owned(),
        });
        GateStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            addresses: addresses.iter().map(ToString::to_string).collect(),
            home: self.home.path().display().to_string(),
            ledger: LedgerStatus {
                bytes: file.map_or(0, |file| file.len()),
                recorded: health.recorded,
                waiting: health.waiting,
                spilled: health.spilled,
                lost: health.lost,
                unregistered: health.unregistered,
                problem: health.problem,
            },
            default_provider: self.config.default_provider.to_string(),
            usage_assist: self.config.usage_assist,
            otlp: self.onlookers.post.as_ref().map(Post::status),
            providers: providers.collect(),
        }
    }

    fn route_desk(self: &Arc<Self>) -> RouteDesk {
        let (standing, change) = (Arc::clone(self), Arc::clone(&self.routes));
        RouteDesk {
            standing: Arc::new(move || {
                let (book, keys) = (standing.own_prices.book(), standing.keys.table());
                let providers = &standing.config.providers;
                standing.routes.standing(&Around { book: &book, providers, keys: &keys })
            }),
            change: Arc::new(move |order| change.change(&order)),
            providers: Arc::new(self.config.providers.clone()),
        }
    }

    /// Cuts what runs under a pass. It is revoked, so that nobody needs its token any more.
    fn cut_pass(&self, label: &str) {
        let book = self.passes.read().unwrap_or_else(PoisonError::into_inner);
        let Some((_, pass)) = book.iter().find(|(_, pass)| *pass.label == *label) else { return };
        let cut = self.cuts.lock().unwrap_or_else(PoisonError::into_inner).remove(&pass.id);
        if let Some(cut) = cut {
            cut.cancel();
        }
    }

    fn has_pass(&self, label: &str) -> bool {
        let book = self.passes.read().unwrap_or_else(PoisonError::into_inner);
        book.iter().any(|(_, pass)| *pass.label == *label && pass.revoked.is_none())
    }

    fn scopes_of(&self, secret: &str) -> Option<Vec<Scope>> {
        let book = self.passes.read().unwrap_or_else(PoisonError::into_inner);
        book.find(secret, now()).map(|pass| pass.scopes.clone())
    }

    /// The management router over this ledger, and a number that changes after the ledger did.
    pub(crate) fn router(self: &Arc<Self>) -> (Router, watch::Receiver<u64>) {
        let (revision, revised) = watch::channel(0_u64);
        self.alerts.count_on(revision.clone());
        self.budgets.count_on(revision.clone());
        self.deployments.count_on(revision.clone());
        self.ledger.on_changed(move || revision.send_modify(|revision| *revision += 1));
        let (home, on_change, scopes) = (self.home.clone(), Arc::clone(self), Arc::clone(self));
        let (prices, exchange, tells) = (Arc::clone(self), Arc::clone(self), Arc::clone(self));
        let (status, cuts, copies) = (Arc::clone(self), Arc::clone(self), Arc::clone(self));
        let router = api::router::router(Desk {
            readers: Readers::new(Box::new(move || Questions::open(home.path()))),
            ledger: Arc::clone(&self.ledger),
            on_change: Arc::new(move || on_change.renew()),
            cut_pass: Arc::new(move |label| cuts.cut_pass(label)),
            scopes: Arc::new(move |secret| scopes.scopes_of(secret)),
            prices: Arc::new(move |hash| prices.prices(hash)),
            keys: Arc::clone(&self.keys) as Arc<dyn KeyRing>,
            tell_price: Arc::new(move |told| tells.tell_price(told)),
            refresh: self.refresh_later(),
            exchange: Arc::new(move || {
                exchange.exchange.read(&exchange.home).map_err(|error| refused(&error))
            }),
            copy_first: Arc::new(move || {
                let made = jobs::backup::copy(&copies.home, &copies.config.backup);
                let path = |made: &Backup| made.path.display().to_string();
                let made = made.map_err(|error| refused(&error))?;
                Ok(made.map(|made| LedgerCopy { path: path(&made), bytes: made.bytes }))
            }),
            alerts: alert_desk(&self.alerts),
            budgets: budget_desk(&self.budgets),
            workshop: Arc::clone(&self.workshop),
            deployments: deployment_desk(&self.deployments),
            routes: self.route_desk(),
            inspector: inspecting::desk(&self.inspector, {
                let settings = Arc::clone(self);
                move |pass| settings.has_pass(pass)
            }),
            meters: self.onlookers.meters.clone(),
            limits: Arc::clone(&self.onlookers.limits),
            status: Arc::new(move || status.status()),
            revision: revised.clone(),
            clock: Arc::new(now),
            zone: cli::zone(),
        });
        (router, revised)
    }
}

fn alert_desk(book: &Arc<AlertBook>) -> AlertDesk {
    let [standing, change, history] = [(); 3].map(|()| Arc::clone(book));
    AlertDesk {
        standing: Arc::new(move || standing.standing()),
        change: Arc::new(move |order| change.change(&order)),
        history: Arc::new(move || history.history()),
    }
}

fn budget_desk(book: &Arc<BudgetBook>) -> BudgetDesk {
    let [standing, change] = [(); 2].map(|()| Arc::clone(book));
    BudgetDesk {
        standing: Arc::new(move || standing.standing()),
        change: Arc::new(move |order| change.change(&order)),
    }
}

fn deployment_desk(book: &Arc<DeploymentBook>) -> DeploymentDesk {
    let [plan, change] = [(); 2].map(|()| Arc::clone(book));
    DeploymentDesk {
        plan: Arc::new(move || plan.plan()),
        board: Arc::clone(&book.board),
        change: Arc::new(move |order| change.change(order)),
    }
}

/// An error as the management contract says it: its hint apart.
pub(crate) fn refused(error: &anyhow::Error) -> Problem {
    let said = format!("{error:#}");
    let (message, hint) = said.split_once("\nhint: ").unwrap_or((&said, "mend it"));
    Problem::new(Code::Conflict, message).hint(hint)
}

/// This machine's time.
pub(crate) fn now() -> Timestamp {
    Timestamp::from(chrono::Utc::now())
}
