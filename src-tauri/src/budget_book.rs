//! The budgets in force and what is remembered of them: `budgets.json` in the home, which says
//! what is released and what was told. Owns both, and brings what the ledger says was spent to
//! the gateway, which counts.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use api::alerts::{Occurrence, Turn};
use api::budgets::{BudgetChange, BudgetStanding, BudgetState, Budgets, Used, period, spent};
use api::period::Here;
use api::problem::{Code, Problem};
use gateway::budget::{self, Account, Counted, Period, Standing};
use meter::budget::{Budget, BudgetAction, Scope};
use meter::{ReceiptId, Timestamp};
use serde::{Deserialize, Serialize};
use store::{Ledger, Questions, StoreError};
use tokio::sync::watch;

use crate::home::Home;
use crate::settings::{now, refused};
use crate::{cli, rule_file};

/// The budgets in force, and what became of them.
pub(crate) struct BudgetBook {
    home: Home,
    ledger: Arc<Ledger>,
    plan: Mutex<Vec<Budget>>,
    /// Held while budgets change or are counted anew: one after the other.
    turn: Mutex<()>,
    /// What passes and workspaces are called now that budgets may name as they were.
    renamed: Mutex<Renamed>,
    /// Who counts.
    pub(crate) counting: Arc<budget::Budgets>,
    kept: Mutex<Kept>,
    revision: OnceLock<watch::Sender<u64>>,
}

/// Names that were changed, and what they lead to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Renamed {
    pub(crate) passes: HashMap<Box<str>, Box<str>>,
    pub(crate) workspaces: HashMap<Box<str>, Box<str>>,
}

impl Renamed {
    /// The budget under the names of today.
    fn today(&self, budget: &Budget) -> Budget {
        let now = |names: &HashMap<Box<str>, Box<str>>, was: &[Box<str>]| {
            was.iter().map(|name| names.get(name).unwrap_or(name).clone()).collect()
        };
        let scope = Scope {
            passes: now(&self.passes, &budget.scope.passes),
            workspaces: now(&self.workspaces, &budget.scope.workspaces),
            ..budget.scope.clone()
        };
        Budget { scope, ..budget.clone() }
    }
}

/// What a restart must know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Kept {
    /// Budgets that stop nothing until then.
    released: BTreeMap<String, Timestamp>,
    /// What the user was told of.
    told: BTreeMap<String, Told>,
}

/// The highest share of a period that the user was told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Told {
    from: Timestamp,
    share: u64,
}

impl BudgetBook {
    /// The book of a home that is ours to write in, with what its ledger says was spent.
    pub(crate) fn open(home: Home, ledger: Arc<Ledger>, plan: Vec<Budget>) -> Arc<Self> {
        let calendar: budget::Calendar = Arc::new(|span, now| {
            let (from, to) = period(span, Here { now, zone: cli::zone() });
            Period { from, to }
        });
        let text = fs::read_to_string(path(&home)).unwrap_or_default();
        let kept: Kept = serde_json::from_str(&text).unwrap_or_default();
        let book = Self {
            home,
            ledger,
            plan: Mutex::new(Vec::new()),
            turn: Mutex::default(),
            renamed: Mutex::default(),
            counting: Arc::new(budget::Budgets::new(calendar)),
            kept: Mutex::new(kept),
            revision: OnceLock::new(),
        };
        book.put(plan);
        Arc::new(book)
    }

    /// Counts news on this number, besides what else changes it.
    pub(crate) fn count_on(&self, revision: watch::Sender<u64>) {
        let _ = self.revision.set(revision);
    }

    /// Follows passes and workspaces to the names they have now: a limit is not lost by a new
    /// name.
    pub(crate) fn follow(&self, renamed: Renamed) {
        let _turn = self.turn();
        let mut known = self.renamed.lock().unwrap_or_else(PoisonError::into_inner);
        if *known != renamed {
            *known = renamed;
            drop(known);
            // They keep what they counted, calls that run included.
            self.counting.rename(&self.today(&self.plan()));
        }
    }

    /// Budgets under the names of today.
    fn today(&self, plan: &[Budget]) -> Vec<Budget> {
        let renamed = self.renamed.lock().unwrap_or_else(PoisonError::into_inner);
        plan.iter().map(|budget| renamed.today(budget)).collect()
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, plan: Vec<Budget>) {
        self.counting.put(&self.today(&plan));
        self.kept().released.retain(|name, _| plan.iter().any(|budget| *budget.name == **name));
        for (name, until) in &self.kept().released {
            self.counting.release(name, Some(*until));
        }
        *self.plan() = plan;
        self.count();
    }

    /// Has money counted anew from the ledger. While that cannot be read, what was counted
    /// since the start goes on counting.
    pub(crate) fn recount(&self) {
        let _turn = self.turn();
        self.count();
    }

    fn count(&self) {
        if self.counting.is_empty() {
            return;
        }
        let caught_up = || Ok(self.ledger.caught_up()?);
        let done = self.counting.recount(now(), caught_up, |accounts, ended| {
            let ledger = Questions::open(self.home.path())?;
            ledger.at_one_instant(|| counted(&ledger, accounts, ended))
        });
        if let Err(problem) = done {
            tracing::warn!("budgets count without the ledger: {}", problem.message);
        }
    }

    /// How the budgets stand.
    pub(crate) fn standing(&self) -> Budgets {
        let standing = self.counting.standing(now());
        let plan = self.plan();
        Budgets::of(plan.iter().map(|budget| {
            let found = standing.iter().find(|one| one.budget.name == budget.name);
            (budget, found.map(used).unwrap_or_default())
        }))
    }

    /// Changes something, for good and from now on.
    ///
    /// # Errors
    /// When there is no such budget, or the configuration cannot be changed.
    pub(crate) fn change(&self, change: &BudgetChange) -> Result<Budgets, Problem> {
        let _turn = self.turn();
        match change {
            BudgetChange::Add(_) => {}
            BudgetChange::Replace(name, _)
            | BudgetChange::Remove(name)
            | BudgetChange::Release(name, _) => {
                if !self.plan().iter().any(|budget| *budget.name == **name) {
                    let problem = refused(&rule_file::unknown_budget(name));
                    return Err(Problem { code: Code::NotFound, ..problem });
                }
            }
        }
        if let BudgetChange::Release(name, until) = change {
            let until = Some(*until).filter(|until| *until > now());
            self.counting.release(name, until);
            let mut kept = self.kept();
            match until {
                Some(until) => drop(kept.released.insert(name.clone(), until)),
                None => drop(kept.released.remove(name)),
            }
            self.keep(&kept);
        } else {
            let plan = rule_file::change_budgets(&self.home, change);
            let plan = plan.map_err(|error| refused(&error))?;
            if let BudgetChange::Replace(name, budget) = change {
                let mut kept = self.kept();
                kept.replace(name, &budget.1.name);
                self.keep(&kept);
            }
            self.put(plan);
        }
        self.counting.stir();
        if let Some(revision) = self.revision.get() {
            revision.send_modify(|revision| *revision += 1);
        }
        Ok(self.standing())
    }

    /// What there is to tell the user that he was not told yet.
    pub(crate) fn news(&self) -> Vec<Occurrence> {
        let budgets = self.standing().budgets;
        let mut kept = self.kept();
        let before = kept.told.clone();
        let news = budgets.iter().filter_map(|one| kept.news(one)).collect();
        kept.told.retain(|name, _| budgets.iter().any(|one| one.budget.name == *name));
        if kept.told != before {
            self.keep(&kept);
        }
        news
    }

    fn keep(&self, kept: &Kept) {
        let write = || -> anyhow::Result<()> {
            let mut file = tempfile::NamedTempFile::new_in(self.home.path())?;
            file.write_all(&serde_json::to_vec_pretty(kept)?)?;
            file.persist(path(&self.home))?;
            Ok(())
        };
        // It is in force all the same; only a restart would not know.
        if let Err(error) = write() {
            tracing::warn!(%error, "what is remembered of budgets could not be written");
        }
    }

    fn plan(&self) -> MutexGuard<'_, Vec<Budget>> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// A budget that was changed is another line, perhaps under another name; what is released
    /// stays so.
    fn replace(&mut self, name: &str, now: &str) {
        self.told.remove(name);
        if let Some(until) = self.released.remove(name) {
            self.released.insert(now.to_owned(), until);
        }
    }

    /// The news of one budget, told from now on.
    fn news(&mut self, standing: &BudgetStanding) -> Option<Occurrence> {
        let (money, budget) = (standing.money?, &standing.budget);
        let usual = [50, 80, 100];
        let shares = budget.warn_at.as_deref().unwrap_or(&usual).iter();
        let is_stopping = standing.state == BudgetState::Stopping;
        let shares = shares.copied().chain(is_stopping.then_some(100));
        let shares = shares.filter_map(|share| u64::try_from(share).ok());
        let share = shares.filter(|share| *share <= standing.share).max()?;
        let told = Told { from: money.from, share };
        let before = self.told.insert(budget.name.clone(), told);
        if before.is_some_and(|before| before.from == told.from && before.share >= share) {
            self.told.extend(before.map(|before| (budget.name.clone(), before)));
            return None;
        }
        Some(Occurrence {
            rule: Some(budget.name.clone()),
            watches: Some(standing.says.clone()),
            page: Some(standing.page.clone()),
            ..Occurrence::plain(Turn::Budget, said(standing))
        })
    }
}

/// What the desktop is told.
fn said(standing: &BudgetStanding) -> String {
    let Some(money) = standing.money else { return String::new() };
    let (spent, limit) = (money.spent.as_dollars(), money.limit.as_dollars());
    match (standing.state, standing.budget.action) {
        (BudgetState::Stopping, Some(BudgetAction::Ask)) => {
            format!("{spent} of {limit} are spent. Calls are denied until you release it.")
        }
        (BudgetState::Stopping, _) => {
            format!("{spent} of {limit} are spent. Calls are denied from now on.")
        }
        (BudgetState::Over | BudgetState::Released, _) => {
            format!("{spent} are spent, with a limit of {limit}. Calls go on.")
        }
        (_, _) => format!("{} % used: {spent} of {limit}.", standing.share),
    }
}

fn used(standing: &Standing) -> Used {
    let (from, to) = standing.period.map(|period| (period.from, period.to)).unwrap_or_default();
    Used {
        spent: standing.spent,
        held: standing.held,
        used: standing.used,
        running: standing.running,
        denied: standing.denied,
        released_until: standing.released_until,
        share: standing.share,
        from,
        to,
    }
}

fn counted(
    ledger: &Questions,
    accounts: &[Account],
    ended: &dyn Fn() -> Vec<ReceiptId>,
) -> Result<Counted, Problem> {
    let each = |account: &Account| {
        let Period { from, to } = account.period;
        spent(ledger, &account.budget.scope, from, to)
    };
    let spent = accounts.iter().map(each).collect::<Result<_, _>>()?;
    let is_in = |id: ReceiptId| Ok::<_, StoreError>(ledger.receipt(id)?.map(|_| id));
    let known = ended().into_iter().filter_map(|id| is_in(id).transpose());
    Ok(Counted { spent, known: known.collect::<Result<_, _>>()? })
}

fn path(home: &Home) -> PathBuf {
    home.path().join("budgets.json")
}
