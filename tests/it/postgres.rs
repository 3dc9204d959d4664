//! What `docs/postgresql.md` says, as it stands there, against a real PostgreSQL: exports load, and
//! its sums are those of `tollgate usage` to the last digit.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use meter::receipt::{CostState, Kind, Line, Receipt, Settlement, Status, UsageState};
use meter::usage::{Basis, Bound, Count, Factor};
use meter::{Currency, Money, Timestamp};
use serde_json::Value;
use store::Ledger;
use tempfile::TempDir;

use crate::gate::{Gate, Setup, wait_until};

/// A server on a socket of its own, and a folder to work in.
struct Postgres {
    server: Child,
    programs: PathBuf,
    folder: TempDir,
}

/// The newest that Debian has installed, if it is new enough for the documented commands.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?.filter_map(|entry| {
        let path = entry.ok()?.path();
        let version: u32 = path.file_name()?.to_str()?.parse().ok()?;
        (version >= 15).then(|| (version, path.join("bin")))
    });
    versions.max().map(|(_, programs)| programs)
}

/// PostgreSQL refuses to run as root; then it runs as the user that Debian made for it.
fn as_server_user(program: &Path) -> Command {
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n");
    if !is_root {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
    command
}

impl Postgres {
    fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            eprintln!("skipped: PostgreSQL is not installed (tests/setup.sh does that)");
            return None;
        };
        let folder = TempDir::new().expect("a temporary folder");
        let home = folder.path().join("server");
        fs::create_dir(&home).expect("a fresh folder");
        // Only root can give it away, and only root needs to.
        let _ = Command::new("chown").arg("postgres").arg(&home).stderr(Stdio::null()).status();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(folder.path(), mode).expect("ours");
        let data = home.join("data");
        let mut init = as_server_user(&programs.join("initdb"));
        init.args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync", "-D"]).arg(&data);
        let made = init.current_dir(&home).output().expect("initdb runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let mut server = as_server_user(&programs.join("postgres"));
        server.arg("-D").arg(&data).arg("-k").arg(&home).args(["-c", "listen_addresses="]);
        server.args(["-c", "fsync=off"]).stdout(Stdio::null()).stderr(Stdio::null());
        let server = server.current_dir(&home).spawn().expect("postgres runs");
        symlink(concat!(env!("CARGO_MANIFEST_DIR"), "/docs"), folder.path().join("docs"))
            .expect("a fresh folder");
        let postgres = Self { server, programs, folder };
        let ready = postgres.programs.join("pg_isready");
        wait_until("PostgreSQL takes connections", || {
            let asked = Command::new(&ready).arg("-q").arg("-h").arg(&home).status();
            asked.is_ok_and(|status| status.success())
        });
        Some(postgres)
    }

    /// Runs a documented command, as somebody in the project's folder would.
    fn runs(&self, gate: &Gate, commands: &str) -> String {
        let tollgate = Path::new(env!("CARGO_BIN_EXE_tollgate")).parent().expect("a folder");
        let path = std::env::var("PATH").unwrap_or_default();
        let path = format!("{}:{}:{path}", tollgate.display(), self.programs.display());
        let mut shell = Command::new("sh");
        shell.args(["-euc", commands]).current_dir(self.folder.path()).env("PATH", path);
        shell.env("PGHOST", self.folder.path().join("server")).env("PGUSER", "postgres");
        shell.env("TOLLGATE_HOME", gate.home()).env("TZ", "UTC").stdin(Stdio::null());
        let output = shell.output().expect("a shell");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && errors.is_empty(), "{commands}\n{errors}");
        String::from_utf8(output.stdout).expect("text")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let pid = self.server.id().to_string();
        // Fast, but by itself, so that it leaves no shared memory behind.
        let _ = Command::new("kill").args(["-INT", &pid]).status();
        let _ = self.server.wait();
    }
}

/// The shell commands of the document, in its order.
fn documented() -> Vec<String> {
    let text = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/postgresql.md");
    let text = fs::read_to_string(text).expect("the document");
    let blocks = text.split("```sh\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap_or_default().to_owned()).collect()
}

fn line(factor: Factor, count: u64) -> Line {
    Line {
        unit: factor.unit(),
        factor,
        count: Count::whole(count),
        rate: None,
        amount: None,
        tier: None,
        price_version: None,
        basis: Basis::Reported,
        bound: Bound::Exact,
        model: None,
        attributes: [].into(),
    }
}

/// Names that a spreadsheet, a CSV reader and JSON each stumble over.
const MODELS: [Option<&str>; 5] = [
    Some("plain\u{0}"),
    Some("=SUM(1),\"2\"\n3"),
    Some("'-o'; DROP TABLE request;--"),
    Some("zé\\ro"),
    None,
];

/// Receipts of every sort: at costs of all sizes, in two currencies, free, unknown, settled.
fn ledger(home: &Path) {
    let ledger = Ledger::open(home).expect("a fresh ledger opens");
    let recorder = ledger.recorder();
    for n in 0..700_u64 {
        let at = Timestamp::from_millis(1_763_600_000_000 + n as i64 * 61_001);
        let mut receipt = Receipt::begun(recorder.mint(at), at, "openai", "http://u.test");
        (receipt.kind, receipt.status) = (Kind::Chat, Status::Succeeded);
        receipt.http_status = Some(200);
        receipt.usage_state = UsageState::Reported;
        receipt.model_requested = MODELS[n as usize % 5].map(Into::into);
        receipt.pass = [Some("ann"), Some("@bob"), None][n as usize % 3].map(Into::into);
        if n % 4 != 0 {
            receipt.tags.insert("user".into(), ["ann", "=bob"][n as usize % 2].into());
        }
        receipt.lines = vec![line(Factor::InputText, n), line(Factor::OutputReasoning, n / 2)];
        receipt.lines.push(line(Factor::ImagesInput, 1));
        let attos = i128::from(n).pow(7) * 1_000_003 + 1;
        receipt.cost = Some(Money::from_attos(attos));
        receipt.cost_state = CostState::Priced;
        match n % 13 {
            3 => (receipt.cost, receipt.cost_state) = (None, CostState::Unknown),
            5 => receipt.currency = "CNY".parse::<Currency>().expect("a code"),
            7 => (receipt.cost, receipt.cost_state) = (None, CostState::Free),
            8 => {
                (receipt.cost, receipt.cost_state) = (None, CostState::UsageMissing);
                (receipt.status, receipt.usage_state) = (Status::Pending, UsageState::Missing);
                receipt.response_id = Some(format!("job-{n}").into());
            }
            _ => {}
        }
        let job = receipt.response_id.clone();
        recorder.open(&receipt).finish(receipt);
        if let Some(job) = job.filter(|_| n % 2 == 0) {
            recorder.settle("openai", &job, outcome(at, n));
        }
    }
    ledger.close(Duration::from_secs(60));
}

fn outcome(at: Timestamp, n: u64) -> Settlement {
    Settlement {
        at,
        reason: "job".into(),
        by: None,
        status: Some(Status::Error),
        usage_raw: None,
        usage_state: Some(UsageState::Reported),
        lines: vec![line(Factor::InputText, 3 * n)],
        cost: Some(Money::from_attos(i128::from(n) + 7)),
        cost_state: CostState::Priced,
        subtotal: None,
        book_hash: None,
        note: None,
    }
}

/// Requests, cost by currency, unpriced, tokens in and out.
type Row = (u64, BTreeMap<String, Money>, u64, u64, u64);

/// What a query of the document says, by person and model.
fn queried(csv: &str) -> BTreeMap<[String; 2], Row> {
    let mut rows: BTreeMap<[String; 2], Row> = BTreeMap::new();
    for record in records(csv).into_iter().skip(1) {
        let [person, model, currency, requests, cost, unpriced, input, output] =
            <[String; 8]>::try_from(record).expect("eight columns");
        let row = rows.entry([person, model]).or_default();
        let number = |text: &str| text.parse::<u64>().expect("a whole number");
        row.0 += number(&requests);
        if !cost.is_empty() {
            row.1.insert(currency, cost.parse().expect("an exact amount"));
        }
        row.2 += number(&unpriced);
        row.3 += number(&input);
        row.4 += number(&output);
    }
    rows
}

/// RFC 4180, as far as `psql --csv` writes it.
fn records(csv: &str) -> Vec<Vec<String>> {
    let (mut all, mut record, mut cell) = (Vec::new(), Vec::new(), String::new());
    let (mut quoted, mut chars) = (false, csv.chars().peekable());
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => cell.extend(chars.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => record.push(std::mem::take(&mut cell)),
            '\n' if !quoted => {
                record.push(std::mem::take(&mut cell));
                all.push(std::mem::take(&mut record));
            }
            c => cell.push(c),
        }
    }
    all
}

fn row(said: &Value) -> Row {
    let money = |value: &Value| value.as_str().map(|text| text.parse().expect("exact"));
    let mut costs: BTreeMap<String, Money> = BTreeMap::new();
    costs.extend(money(&said["cost"]).map(|cost| ("USD".to_owned(), cost)));
    let others = said["other_costs"].as_object().expect("a map");
    costs.extend(others.iter().filter_map(|(of, sum)| Some((of.clone(), money(sum)?))));
    // A sum of nothing is zero for the one and NULL for the other.
    costs.retain(|_, sum| *sum != Money::ZERO);
    let number = |name: &str| said[name].as_u64().expect("a count");
    let tokens = (number("input_tokens"), number("output_tokens"));
    (number("requests"), costs, number("unpriced"), tokens.0, tokens.1)
}

/// The same of `tollgate usage`, whose answer `names` a row.
fn reckoned(answer: &str, names: impl Fn(&Value) -> [String; 2]) -> BTreeMap<[String; 2], Row> {
    let usage: Value = serde_json::from_str(answer).expect("JSON");
    let rows = usage["rows"].as_array().expect("rows");
    rows.iter().map(|said| (names(said), row(said))).collect()
}

/// PostgreSQL's texts hold no zero character.
fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().replace('\0', "\u{fffd}")
}

fn agrees(postgres: &Postgres, gate: &Gate, by_pass: &str, by_tag: &str) {
    let passes = queried(&postgres.runs(gate, by_pass));
    let answer = gate.says(&["usage", "--by", "pass,model", "--json"]);
    let told = reckoned(&answer, |row| [text(&row["names"][0]), text(&row["names"][1])]);
    assert_eq!(passes, told);
    assert_eq!(passes.len(), 15, "three passes, five models");

    let people = queried(&postgres.runs(gate, by_tag));
    for person in ["ann", "=bob"] {
        let tag = format!("user={person}");
        let answer = gate.says(&["usage", "--tag", &tag, "--by", "model", "--json"]);
        let told = reckoned(&answer, |row| [person.to_owned(), text(&row["name"])]);
        let queried = people.iter().filter(|(names, _)| names[0] == person);
        let queried: BTreeMap<_, _> = queried.map(|(n, row)| (n.clone(), row.clone())).collect();
        assert_eq!(queried, told, "{person}");
    }
    assert_eq!(people.values().map(|row| row.0).sum::<u64>(), 700);
}

#[test]
fn exports_load_into_postgresql_as_documented_and_its_sums_are_ours() {
    let Some(postgres) = Postgres::start() else { return };
    let gate = Gate::closed(&Setup { prepare: Some(ledger), ..Setup::default() });
    let documented = documented();
    let [schema, jsonl, csv, by_pass, by_tag] = &*documented else {
        panic!("the document has other commands than five: {documented:#?}")
    };
    postgres.runs(&gate, schema);
    postgres.runs(&gate, jsonl);
    agrees(&postgres, &gate, by_pass, by_tag);
    // Loading again changes nothing, and a table that was wrong is right afterwards.
    let spoil = "psql -q -c \"UPDATE request SET cost = 1, status = 'error', input_tokens = 0\"";
    postgres.runs(&gate, spoil);
    postgres.runs(&gate, jsonl);
    agrees(&postgres, &gate, by_pass, by_tag);
    let all = "psql --csv -t -c \"SELECT r.*::text FROM request AS r ORDER BY id\"";
    let all = all.replace("r.*::text", "r::text");
    let from_jsonl = postgres.runs(&gate, &all);

    postgres.runs(&gate, "psql -q -c 'TRUNCATE request'");
    postgres.runs(&gate, csv);
    agrees(&postgres, &gate, by_pass, by_tag);
    assert!(postgres.runs(&gate, &all) == from_jsonl, "both formats say the same");
    let nulls = "psql -At -c 'SELECT count(*) FROM request WHERE cost IS NULL AND unpriced'";
    let unknown: u64 = postgres.runs(&gate, nulls).trim().parse().expect("a count");
    let answer: Value = serde_json::from_str(&gate.says(&["usage", "--json"])).expect("JSON");
    assert_eq!(answer["totals"]["unpriced"], unknown);
    assert!(unknown > 50, "{unknown}");
}
