//! `tollgate doctor`: is all well with this home?

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use meter::Timestamp;
use serde::Serialize;
use store::{Ledger, backups, set_aside_ledgers};

use super::backup::{CLOSING, Copy, alone};
use super::figure::{bytes, full_instant, grouped};
use super::filters::zone;
use super::remark;
use super::screen::{BAD, FAINT, GOOD, Screen, painted};
use super::surroundings::Surroundings;
use crate::config::Config;
use crate::home::Home;
use crate::settings::now;

/// Looks after the home: folder, configuration, ledger.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tollgate doctor
  tollgate doctor --verify
  tollgate doctor --rebuild        sums and indexes anew from the receipts")]
pub(crate) struct DoctorArgs {
    /// Also read every receipt and compare all kept sums with what they come to
    #[arg(long)]
    verify: bool,
    /// First make all kept sums and indexes anew from the receipts; no Tollgate may run
    #[arg(long)]
    rebuild: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What was found.
#[derive(Debug, Serialize)]
struct Findings {
    home: String,
    #[serde(flatten)]
    around: Surroundings,
    /// What is wrong with `config.toml`; `null`: nothing.
    config_problem: Option<String>,
    /// `null`: there is no ledger yet.
    ledger_bytes: Option<u64>,
    /// What is wrong with the ledger; `null`: nothing.
    ledger_problem: Option<String>,
    /// `null`: not asked for, or not possible.
    verified: Option<Verified>,
    /// Copies of the ledger, newest first.
    backups: Vec<Copy>,
    /// Why they cannot be listed; `null`: they can.
    backups_problem: Option<String>,
    /// After how many months receipts go; `null`: never.
    keep_months: Option<u32>,
    /// Ledgers that were set aside or kept from before an update; nobody needs them to run.
    set_aside: Vec<Copy>,
}

/// What reading everything came to.
#[derive(Debug, Serialize)]
struct Verified {
    receipts: u64,
    damaged: u64,
    wrong_sums: u64,
    /// Receipts from before were pruned; there, sums were compared with each other.
    pruned_before: Option<Timestamp>,
    /// Receipts from before that which are there all the same.
    kept: u64,
    file_problem: Option<String>,
    /// Tables and indexes that are not there.
    missing: Vec<String>,
}

/// Makes sums and indexes anew.
fn rebuild() -> anyhow::Result<()> {
    let home = super::home()?;
    let _lock = alone(&home)?;
    let ledger = Ledger::open(home.path())?;
    let days = ledger.mend();
    ledger.close(CLOSING);
    remark(&format!("Made the sums of {} days and all indexes anew", grouped(days?)));
    Ok(())
}

impl DoctorArgs {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        if self.rebuild {
            rebuild()?;
        }
        let found = self.look()?;
        let mut screen = Screen::take();
        if self.json {
            screen.json(&found)?;
        } else {
            screen.write_all(said(&found).as_bytes())?;
        }
        screen.flush()?;
        if !found.is_well() {
            bail!("not all is well\nhint: {}", found.way_out());
        }
        Ok(())
    }

    fn look(&self) -> anyhow::Result<Findings> {
        let home = super::home()?;
        let config = Config::load(&home.config());
        let keep = config.as_ref().ok().and_then(|config| config.prune);
        let folder = config.as_ref().ok().map(|config| config.backup.folder(&home));
        let path = home.path().join("ledger.db");
        let mut found = Findings {
            home: home.path().display().to_string(),
            around: Surroundings::of(&home, now()),
            config_problem: config.err().map(|error| format!("{error:#}")),
            ledger_bytes: std::fs::metadata(&path).ok().map(|file| file.len()),
            ledger_problem: None,
            verified: None,
            backups: Vec::new(),
            backups_problem: None,
            keep_months: keep.map(|plan| plan.keep_months),
            set_aside: Vec::new(),
        };
        found.look_for_copies(&home, folder);
        if found.ledger_bytes == Some(0) && !found.backups.is_empty() {
            found.ledger_problem = Some("it is empty, and there are copies of it".to_owned());
        } else if found.ledger_bytes.is_some() {
            let verify = self.verify || self.rebuild;
            let verified = super::ledger().and_then(|ledger| match verify {
                true => Ok(Some(ledger.verify()?)),
                // The first question meets most of what can be wrong.
                false => Ok(ledger.last_arrival().map(|_| None)?),
            });
            match verified {
                Ok(verified) => found.verified = verified.map(Verified::from),
                Err(error) => found.ledger_problem = Some(format!("{error:#}")),
            }
        }
        Ok(found)
    }
}

impl From<store::Verified> for Verified {
    fn from(verified: store::Verified) -> Self {
        Self {
            receipts: verified.receipts,
            damaged: verified.damaged,
            wrong_sums: verified.wrong_cells,
            pruned_before: verified.pruned_before,
            kept: verified.kept,
            file_problem: verified.file,
            missing: verified.missing,
        }
    }
}

impl Verified {
    fn is_sound(&self) -> bool {
        self.damaged == 0 && self.file_problem.is_none() && self.is_added_up()
    }

    /// Whether nothing is wrong that can be made anew.
    fn is_added_up(&self) -> bool {
        self.wrong_sums == 0 && self.missing.is_empty()
    }
}

impl Findings {
    fn look_for_copies(&mut self, home: &Home, folder: Option<PathBuf>) {
        match folder.map_or(Ok(Vec::new()), |folder| backups(&folder, now())) {
            Ok(found) => self.backups = found.into_iter().map(Copy::from).collect(),
            Err(error) => self.backups_problem = Some(error.to_string()),
        }
        for path in set_aside_ledgers(home.path()).unwrap_or_default() {
            let bytes = std::fs::metadata(&path).map_or(0, |file| file.len());
            self.set_aside.push(Copy { path: path.display().to_string(), made_at: None, bytes });
        }
    }

    fn is_well(&self) -> bool {
        self.around.troubles.is_empty()
            && self.config_problem.is_none()
            && self.ledger_problem.is_none()
            && self.backups_problem.is_none()
            && self.verified.as_ref().is_none_or(Verified::is_sound)
    }

    fn way_out(&self) -> &str {
        let verified = self.verified.as_ref();
        let only_sums =
            verified.is_some_and(|found| found.damaged == 0 && found.file_problem.is_none());
        if self.config_problem.is_some() {
            "mend `config.toml`, or move it away to start with defaults"
        } else if let (true, Some(trouble)) = (self.ledger_is_well(), self.around.troubles.first())
        {
            &trouble.hint
        } else if self.ledger_is_well() {
            "see to the folder of the copies, or name another in config.toml: [backup] folder"
        } else if self.ledger_problem.is_none() && only_sums {
            "stop Tollgate and run `tollgate doctor --rebuild`: sums and indexes are made anew from the receipts"
        } else if !self.backups.is_empty() {
            "stop Tollgate and put the newest copy back with `tollgate restore --merge`; the ledger as it is will be kept"
        } else {
            "copy the home to a safe place before anything else, then report what is said above"
        }
    }

    fn ledger_is_well(&self) -> bool {
        self.ledger_problem.is_none() && self.verified.as_ref().is_none_or(Verified::is_sound)
    }
}

fn said(found: &Findings) -> String {
    let mut text = String::new();
    let mut fact = |name: &str, value: &str| {
        text.push_str(&format!("{} {value}\n", painted(FAINT, &format!("{name:<10}"))));
    };
    let well = painted(GOOD, "fine");
    let ill = |problem: &str| painted(BAD, &problem.replace('\n', "\n           "));
    fact("Home", &found.home);
    let process = found.around.process.as_ref();
    let none = || "none runs on this home".to_owned();
    fact("Process", &process.map_or_else(none, |pid| format!("{pid} serves this home")));
    for trouble in &found.around.troubles {
        fact("Trouble", &ill(&format!("{}\n{}", trouble.what, trouble.hint)));
    }
    fact("Settings", &found.config_problem.as_deref().map_or_else(|| well.clone(), ill));
    for note in &found.around.notes {
        fact("Note", &format!("{}\n           {}", note.what, note.hint));
    }
    match (found.ledger_bytes, &found.ledger_problem) {
        (None, _) => fact("Ledger", "none yet: `tollgate serve` makes one"),
        (Some(_), Some(problem)) => fact("Ledger", &ill(problem)),
        (Some(size), None) => fact("Ledger", &format!("{well}, {}", bytes(size))),
    }
    if let Some(verified) = &found.verified {
        let receipts = grouped(verified.receipts);
        if verified.is_sound() {
            let pruned = verified.pruned_before.map(|before| {
                let before = full_instant(before, zone());
                let kept = grouped(verified.kept);
                let but =
                    if verified.kept > 0 { format!(", all but {kept}") } else { String::new() };
                format!("; receipts from before {before} were pruned{but}, and their sums agree")
            });
            let pruned = pruned.unwrap_or_default();
            let sums = format!("all sums are what {receipts} receipts come to{pruned}");
            fact("Verified", &format!("{well}: {sums}"));
        } else {
            let file = verified.file_problem.as_ref();
            let file =
                file.map(|said| format!("\nSQLite says of the file: {said}")).unwrap_or_default();
            let (damaged, wrong) = (grouped(verified.damaged), grouped(verified.wrong_sums));
            fact(
                "Verified",
                &ill(&format!("{receipts} receipts, {damaged} damaged, {wrong} wrong sums{file}")),
            );
            if !verified.missing.is_empty() {
                fact("", &ill(&format!("not there: {}", verified.missing.join(", "))));
            }
        }
    }
    if let Some(waiting) = found.around.waiting() {
        fact("Waiting", &waiting);
    }
    if let Some(months) = found.keep_months {
        fact(
            "Pruning",
            &format!("after each copy, receipts older than {months} months; sums stay"),
        );
    }
    if let Some(problem) = &found.backups_problem {
        fact("Copies", &ill(problem));
    }
    for (at, copy) in found.backups.iter().enumerate() {
        let made = copy.made_at.map(|at| full_instant(at, zone())).unwrap_or_default();
        let name = if at == 0 { "Copies" } else { "" };
        fact(name, &format!("{made}, {}  {}", bytes(copy.bytes), copy.path));
    }
    for (at, copy) in found.set_aside.iter().enumerate() {
        let name = if at == 0 { "Set aside" } else { "" };
        fact(name, &format!("{}  {}", bytes(copy.bytes), copy.path));
    }
    text
}
