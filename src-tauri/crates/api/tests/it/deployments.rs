//! What runs on one's own servers, in numbers that can be added up by hand.

use api::deployments::inquiry::{ReadyModel, ServerReading, ServerState};
use api::deployments::listing::Sources;
use api::deployments::{
    DeploymentPlan, DeploymentRule, DeploymentState, DriverReading, GpusFrom, OwnServer,
    ServerBoard, deployments,
};
use api::period::Here;
use api::query::{Query, Question};
use meter::price::{Book, Overrides};
use meter::provider::ServerStatus;
use store::{Arrival, Run};

use crate::desk::{NOW, Office, at};

fn server(id: &str, status: ServerStatus, gpus: Option<u32>) -> OwnServer {
    OwnServer { id: id.into(), origin: "http://127.0.0.1:9".into(), status, gpus, is_here: true }
}

fn run(server: &str, model: &str, from: &str, to: &str, gpus: u32) -> Run {
    let at = |time| at(&format!("2026-11-20T{time}:00Z"));
    Run { server: server.into(), model: model.into(), from: at(from), to: at(to), gpus }
}

fn ask(
    office: &Office,
    plan: &DeploymentPlan,
    board: &ServerBoard,
    parameters: &[(&str, &str)],
) -> api::deployments::Deployments {
    ask_at(&Book::default(), office, plan, board, parameters)
}

fn ask_at(
    book: &Book,
    office: &Office,
    plan: &DeploymentPlan,
    board: &ServerBoard,
    parameters: &[(&str, &str)],
) -> api::deployments::Deployments {
    let here = Here { now: at(NOW), zone: chrono_tz::UTC };
    let query = Query::parse(Question::Deployments, parameters, here).expect("well-formed");
    let said = board.said();
    let sources = Sources { plan, said: &said, book, now: at(NOW) };
    deployments(&office.questions(), &query, sources).expect("the ledger answers")
}

#[test]
fn models_that_share_processors_count_them_once_and_names_that_mean_one_model_are_one() {
    let office = Office::with(|receipts, begun| {
        for (model, minute) in [("a", 0), ("a:latest", 1), ("b", 2)] {
            let mut receipt = begun(&format!("2026-11-20T10:0{minute}:00Z"));
            (receipt.provider, receipt.model) = ("lab".into(), Some(model.into()));
            receipts.push(receipt);
        }
        let mut elsewhere = begun("2026-11-20T10:05:00Z");
        elsewhere.model = Some("a".into());
        receipts.push(elsewhere);
    });
    let runs = vec![
        run("lab", "a", "10:00", "10:10", 1),
        run("lab", "b", "10:05", "10:15", 1),
        run("other", "c", "10:00", "10:04", 3),
        run("other", "d", "10:02", "10:06", 3),
        run("own", "e", "10:00", "10:01", 0),
    ];
    office.ledger.ran(runs, Arrival::default()).expect("it is written");
    let own = DeploymentRule {
        name: "mine".to_owned(),
        provider: "own".to_owned(),
        gpus: Some(8),
        ..DeploymentRule::default()
    };
    let plan = DeploymentPlan {
        servers: vec![
            server("lab", ServerStatus::Ollama, Some(2)),
            server("other", ServerStatus::Openai, None),
            server("own", ServerStatus::None, Some(1)),
        ],
        declared: vec![own],
    };
    let answer = ask(&office, &plan, &ServerBoard::default(), &[]);
    let row = |name: &str| answer.deployments.iter().find(|one| one.name == name).expect(name);
    assert_eq!((row("lab/a").requests, row("lab/b").requests, answer.totals.requests), (2, 1, 3));
    // Ten minutes each, on the server's two.
    let seconds = |name| (row(name).running_seconds, row(name).gpu_seconds, row(name).gpus_from);
    assert_eq!(seconds("lab/a"), (600, Some(1200), Some(GpusFrom::Server)));
    assert_eq!(seconds("lab/b"), (600, Some(1200), Some(GpusFrom::Server)));
    assert_eq!(seconds("other/c"), (240, Some(720), Some(GpusFrom::Driver)));
    assert_eq!(seconds("mine"), (60, Some(480), Some(GpusFrom::Declared)));
    // A quarter of an hour on two, six minutes on three, a minute on eight.
    assert_eq!(answer.totals.gpu_seconds, Some(1800 + 1080 + 480));
    assert!(answer.deployments.iter().all(|one| one.state == DeploymentState::Unknown));
    // Half of it.
    let cut = ask(&office, &plan, &ServerBoard::default(), &[("to", "2026-11-20T10:05:00Z")]);
    assert_eq!(cut.totals.gpu_seconds, Some(600 + 900 + 480));
    let one = ask(&office, &plan, &ServerBoard::default(), &[("model", "a:latest")]);
    assert_eq!((one.deployments.len(), &*one.deployments[0].name), (1, "lab/a"));
    let none = ask(&office, &plan, &ServerBoard::default(), &[("provider", "openai")]);
    assert_eq!((none.deployments.len(), none.totals.gpu_seconds), (0, None));
}

#[test]
fn a_server_of_a_thousand_models_is_listed_with_those_first_that_run() {
    let office = Office::with(|_, _| ());
    let plan = DeploymentPlan {
        servers: vec![server("lab", ServerStatus::Ollama, None)],
        declared: vec![DeploymentRule {
            name: "gone".to_owned(),
            provider: "lab".to_owned(),
            model: Some("nobody".to_owned()),
            ..DeploymentRule::default()
        }],
    };
    let ready: Vec<Box<str>> = (0..1000).map(|n| format!("m{n}:latest").into()).collect();
    let board = ServerBoard::default();
    let reading = ServerReading {
        state: ServerState::Up,
        installed: Some(ready.iter().cloned().collect()),
        ready: ready.into_iter().map(|model| (model, ReadyModel::default())).collect(),
        ..ServerReading::default()
    };
    board.told("lab", at(NOW), reading);
    board.driver_told(Some(DriverReading { count: 4, busy_percent: Some(99) }));
    let answer = ask(&office, &plan, &board, &[]);
    assert_eq!((answer.totals.deployments, answer.totals.active), (1001, 1000));
    let last = answer.deployments.last().expect("a row");
    assert_eq!(
        (&*last.name, last.state, last.busy_percent),
        ("gone", DeploymentState::Absent, None)
    );
    assert_eq!(
        (&*answer.deployments[0].name, answer.deployments[0].busy_percent),
        ("lab/m0", Some(99))
    );
}

#[test]
fn dollars_of_requests_are_not_shown_as_the_currency_of_the_price_per_hour() {
    let office = Office::with(|receipts, begun| {
        let mut receipt = begun("2026-11-20T10:00:00Z");
        (receipt.provider, receipt.model) = ("lab".into(), Some("a".into()));
        (receipt.cost, receipt.cost_state) =
            (Some("0.5".parse().expect("money")), meter::receipt::CostState::Priced);
        receipts.push(receipt);
    });
    let runs = vec![run("lab", "a", "10:00", "11:00", 1), run("lab", "a", "11:30", "12:30", 1)];
    office.ledger.ran(runs, Arrival::default()).expect("it is written");
    let servers = vec![server("lab", ServerStatus::Ollama, None)];
    let plan = DeploymentPlan { servers, declared: Vec::new() };
    let shown = |currency: &str| {
        let list = Book::read("x", []).expect("a list");
        let own = format!(
            "[[price]]\nprovider = 'lab'\ncurrency = '{currency}'\n\
             rates = {{ 'server.seconds' = '3/h' }}\n"
        );
        let own = Overrides::read(&own, &list, |_| true).expect("prices");
        let answer = ask_at(&list.with(own), &office, &plan, &ServerBoard::default(), &[]);
        let one = &answer.deployments[0];
        assert_eq!(one.currency.to_string(), currency);
        [one.running_cost, one.requests_cost].map(|cost| cost.map(|cost| cost.to_string()))
    };
    let some = |text: &str| Some(text.to_owned());
    // Two hours at 3.
    assert_eq!(shown("USD"), [some("6"), some("0.5")]);
    assert_eq!(shown("EUR"), [some("6"), None]);
}
