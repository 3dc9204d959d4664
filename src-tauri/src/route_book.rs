//! The routes in force: their plan as `config.toml` has it, and what is known of their targets,
//! which the last day's receipts tell once, at the start, and ended calls from then on.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use api::problem::{Code, Problem};
use api::routes::{RouteChange, RouteStanding, Routes, Told};
use gateway::KeyTable;
use gateway::route::{self, Experience, Prices, plan};
use meter::price::Book;
use meter::provider::{Auth, Providers};
use meter::route::{Family, NamedRoute};
use meter::{Receipt, Timestamp};
use store::{Filter, Questions, StoreError};

use crate::home::Home;
use crate::rule_file;
use crate::settings::{now, refused};

/// What is looked back on at the start, in milliseconds, and so many receipts of a provider.
const RECENT: i64 = 24 * 60 * 60 * 1000;
const MOST: usize = 500;

/// The routes in force.
pub(crate) struct RouteBook {
    home: Home,
    plan: Mutex<Vec<Arc<NamedRoute>>>,
    experience: Arc<Experience>,
    /// Providers whose receipts were looked at.
    learned: Mutex<BTreeSet<Box<str>>>,
}

/// What says how routes stand, besides the book itself.
pub(crate) struct Around<'a> {
    pub(crate) book: &'a Book,
    pub(crate) providers: &'a Providers,
    pub(crate) keys: &'a KeyTable,
}

impl RouteBook {
    /// The book of a home.
    pub(crate) fn open(home: Home, plan: Vec<NamedRoute>) -> Arc<Self> {
        let book = Self {
            home,
            plan: Mutex::default(),
            experience: Arc::default(),
            learned: Mutex::default(),
        };
        book.put(plan);
        Arc::new(book)
    }

    /// What the gateway is to know of them.
    pub(crate) fn in_force(&self) -> route::Routes {
        route::Routes { named: self.plan().clone(), experience: Arc::clone(&self.experience) }
    }

    /// A call is over.
    pub(crate) fn told(&self, receipt: &Receipt) {
        self.experience.told(receipt);
    }

    fn put(&self, plan: Vec<NamedRoute>) {
        self.experience.watch(plan.iter());
        *self.plan() = plan.into_iter().map(Arc::new).collect();
    }

    fn plan(&self) -> MutexGuard<'_, Vec<Arc<NamedRoute>>> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks back on the last day, in the background: no call waits for it.
    pub(crate) fn learn(self: &Arc<Self>) {
        let known = self.learned.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let named = self.plan().clone();
        let all = named.iter().flat_map(|route| &route.targets).map(|target| &target.provider);
        let new: BTreeSet<Box<str>> = all.filter(|id| !known.contains(*id)).cloned().collect();
        if new.is_empty() {
            return;
        }
        self.learned.lock().unwrap_or_else(PoisonError::into_inner).extend(new.iter().cloned());
        let book = Arc::clone(self);
        let look = move || {
            if let Err(error) = book.look_back(&new) {
                tracing::warn!("routes begin without what the ledger knows: {error}");
            }
        };
        if let Err(error) = std::thread::Builder::new().name("routes".into()).spawn(look) {
            tracing::warn!(%error, "routes begin without what the ledger knows");
        }
    }

    fn look_back(&self, providers: &BTreeSet<Box<str>>) -> Result<(), StoreError> {
        let ledger = Questions::open(self.home.path())?;
        let from = Some(Timestamp::from_millis(now().millis() - RECENT));
        for provider in providers {
            let filter =
                Filter { from, providers: vec![provider.to_string()], ..Filter::default() };
            let receipts = ledger.requests(&filter, None, MOST)?;
            receipts.iter().rev().for_each(|receipt| self.experience.told(receipt));
        }
        Ok(())
    }

    /// How the routes stand.
    pub(crate) fn standing(&self, around: &Around<'_>) -> Routes {
        let named = self.plan().clone();
        Routes { routes: named.iter().map(|route| self.standing_of(route, around)).collect() }
    }

    fn standing_of(&self, route: &NamedRoute, around: &Around<'_>) -> RouteStanding {
        let prices = Prices { book: around.book, providers: around.providers };
        let at = now();
        let figures = self.experience.figures(&route.targets, &prices, true, at);
        let told = plan(route, &self.experience, &prices, true, at).into_iter().map(|step| {
            let target = &route.targets[step.at];
            let provider = around.providers.get(&target.provider);
            let origin = provider.and_then(|provider| provider.base_url.as_deref());
            let key = origin.and_then(|origin| around.keys.find(&target.provider, origin));
            let problem = match (provider, origin, key) {
                (None, _, _) => Some("there is no such provider".to_owned()),
                (_, None, _) => {
                    Some(format!("`{}` has no address yet: see config.toml", target.provider))
                }
                (Some(provider), Some(_), None) if provider.auth != Auth::None => {
                    Some(format!("no key is stored: `tollgate keys add {}`", provider.id))
                }
                (Some(_), Some(_), _) => None,
            };
            let rests = self.experience.rests(target, std::time::Instant::now());
            Told {
                at: step.at,
                why: step.chosen.into(),
                key: key.map(|key| key.label.to_string()),
                problem,
                rests_seconds: rests.map(|(left, _)| left.as_secs().max(1)),
                figures: figures[step.at],
            }
        });
        let told = told.collect();
        let providers =
            route.targets.iter().filter_map(|target| around.providers.get(&target.provider));
        RouteStanding::of(route, Family::shared(providers), told)
    }

    /// Changes something, for good.
    ///
    /// # Errors
    /// When there is no such route, or the configuration cannot be changed.
    pub(crate) fn change(self: &Arc<Self>, change: &RouteChange) -> Result<(), Problem> {
        if let RouteChange::Replace(name, _) | RouteChange::Remove(name) = change
            && !self.plan().iter().any(|route| *route.name == **name)
        {
            let problem = refused(&rule_file::unknown_route(name));
            return Err(Problem { code: Code::NotFound, ..problem });
        }
        let plan = rule_file::change_routes(&self.home, change);
        self.put(plan.map_err(|error| refused(&error))?);
        self.learn();
        Ok(())
    }
}
