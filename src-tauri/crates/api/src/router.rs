//! `/api/v1`: which address asks which question.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use axum::extract::{Path, Query as QueryString, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{Method, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router, middleware};
use chrono_tz::Tz;
use meter::exchange::ExchangeRates;
use meter::price::Book;
use meter::{Receipt, Timestamp};
use store::{Ledger, Scope};
use tokio::sync::watch;

use crate::alerts::{self, AlertDesk};
use crate::answer::{Requests, Usage};
use crate::auth::{Guard, Pace, Scopes, check, json_only};
use crate::budgets::{self, BudgetDesk};
use crate::deployments::{self, DeploymentDesk};
use crate::exports::{self, Workshop};
use crate::inspector::{self, InspectDesk};
use crate::keys::{self, KeyRing};
use crate::limits::{self, LimitBoard};
use crate::metrics::{self, Meters};
use crate::performance::Performance;
use crate::period::Here;
use crate::prices::{Refreshed, TellPrice};
use crate::problem::{Code, Problem};
use crate::prune::{self, CopyFirst};
use crate::query::{Query, Question};
use crate::readers::{Readers, stumbled};
use crate::routes::{self, RouteDesk};
use crate::status::GateStatus;
use crate::{
    download, events, openapi, passes, performance, prices, question, report, reprice, status,
    workspaces,
};

/// What the time is.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Reads the prices in force, the user's own among them. Where those cannot be used it says
/// why, and what was in force stays so. With a hash it is the list that receipts name by it,
/// the user's own prices before it.
pub type Prices = Arc<dyn Fn(Option<&str>) -> Result<Arc<Book>, Problem> + Send + Sync>;

/// The exchange rates there are.
pub type Exchange = Arc<dyn Fn() -> Result<Arc<ExchangeRates>, Problem> + Send + Sync>;

/// Writes a price of the user's own, and answers with the prices then in force.
pub type TellsPrice = Arc<dyn Fn(&TellPrice) -> Result<Arc<Book>, Problem> + Send + Sync>;

/// Fetches newer prices and puts them in force.
pub type Refresh = Arc<dyn Fn() -> Refreshing + Send + Sync>;

/// A [`Refresh`] under way.
pub type Refreshing = Pin<Box<dyn Future<Output = Result<Refreshed, Problem>> + Send>>;

/// Everything the contract stands on.
#[derive(Clone)]
pub struct Desk {
    /// Who reads the ledger.
    pub readers: Arc<Readers>,
    /// Who writes it.
    pub ledger: Arc<Ledger>,
    /// Called after passes or settings have changed, before that is answered: whoever holds a
    /// copy renews it.
    pub on_change: Arc<dyn Fn() + Send + Sync>,
    /// Cuts what runs under the pass with this label, which has just been revoked.
    pub cut_pass: Arc<dyn Fn(&str) + Send + Sync>,
    /// What a shown secret may do.
    pub scopes: Scopes,
    /// Who keeps the user's provider keys.
    pub keys: Arc<dyn KeyRing>,
    /// The prices in force.
    pub prices: Prices,
    /// Takes a price that the user tells.
    pub tell_price: TellsPrice,
    /// Where newer ones come from.
    pub refresh: Refresh,
    /// The exchange rates there are.
    pub exchange: Exchange,
    /// Copies the ledger before receipts are removed from it.
    pub copy_first: CopyFirst,
    /// Who keeps the alert rules.
    pub alerts: AlertDesk,
    /// Who keeps the budgets.
    pub budgets: BudgetDesk,
    /// Who makes exports in the background.
    pub workshop: Arc<Workshop>,
    /// Who keeps what is declared of the user's own servers.
    pub deployments: DeploymentDesk,
    /// Who keeps the routes.
    pub routes: RouteDesk,
    /// Who holds calls that are looked at.
    pub inspector: InspectDesk,
    /// What counts calls for a monitoring system, if the user wants one to ask.
    pub meters: Option<Arc<Meters>>,
    /// What the providers said they still allow.
    pub limits: Arc<LimitBoard>,
    /// What this Tollgate is and how it is doing.
    pub status: Arc<dyn Fn() -> GateStatus + Send + Sync>,
    /// A number that changes after the ledger did.
    pub revision: watch::Receiver<u64>,
    /// What the time is.
    pub clock: Clock,
    /// Where days begin for those who do not say.
    pub zone: Tz,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").field("zone", &self.zone).finish_non_exhaustive()
    }
}

impl Desk {
    pub(crate) fn here(&self) -> Here {
        Here { now: (self.clock)(), zone: self.zone }
    }

    /// Changes something, off the threads that must not wait.
    pub(crate) async fn change<T: Send + 'static>(
        &self,
        act: impl FnOnce() -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let on_change = Arc::clone(&self.on_change);
        let changed = tokio::task::spawn_blocking(move || {
            let done = act()?;
            on_change();
            Ok(done)
        });
        changed.await.unwrap_or_else(|_| Err(stumbled()))
    }

    pub(crate) fn query(
        &self,
        question: Question,
        uri: &Uri,
    ) -> Result<(Query, Timestamp), Problem> {
        let parameters = QueryString::<Vec<(String, String)>>::try_from_uri(uri).map_err(|_| {
            Problem::new(Code::BadParameter, "the query string cannot be read")
                .hint("Write `name=value` pairs joined by `&`.")
        })?;
        let here = self.here();
        let mut query = Query::parse(question, &parameters.0, here)?;
        if query.currency.is_some() {
            query.rates = (self.exchange)()?;
        }
        Ok((query, here.now))
    }
}

/// The management contract. Callers check `Host` and `Origin` before they come here.
pub fn router(desk: Desk) -> Router {
    let pace = Arc::<Pace>::default();
    let guard =
        |needed| Guard { scopes: Arc::clone(&desk.scopes), needed, pace: Arc::clone(&pace) };
    let reading = Router::new()
        .route("/api/v1/usage", get(usage))
        .route("/api/v1/performance", get(performance))
        .route("/api/v1/requests", get(requests))
        .route("/api/v1/requests/{id}", get(receipt))
        .route("/api/v1/export", get(export))
        .route("/api/v1/report", get(shared))
        .route("/api/v1/events", get(changes))
        .route("/api/v1/status", get(status::status))
        .route("/api/v1/limits", get(limits::limits))
        .route("/api/v1/openapi.json", get(openapi::openapi))
        .route("/metrics", get(metrics::metrics))
        .merge(workspaces::reading())
        .merge(prices::reading())
        .merge(alerts::resource::reading())
        .merge(budgets::resource::reading())
        .merge(exports::resource::reading())
        .merge(deployments::resource::reading())
        .merge(routes::resource::reading())
        .route_layer(middleware::from_fn_with_state(guard(Scope::UsageRead), check));
    let managing = passes::routes()
        .merge(workspaces::managing())
        .merge(prices::managing())
        .merge(keys::routes())
        .merge(inspector::routes())
        .merge(reprice::routes())
        .merge(prune::routes())
        .merge(alerts::resource::managing())
        .merge(budgets::resource::managing())
        .merge(exports::resource::managing())
        .merge(deployments::resource::managing())
        .merge(routes::resource::managing())
        .route_layer(middleware::from_fn(json_only))
        .route_layer(middleware::from_fn_with_state(guard(Scope::Manage), check));
    reading
        .merge(managing)
        .method_not_allowed_fallback(async |method: Method| {
            Problem::new(Code::MethodNotAllowed, format!("`{method}` is not possible here"))
        })
        .fallback(async |uri: Uri| {
            let path: String = uri.path().chars().take(200).collect();
            Problem::new(Code::NotFound, format!("there is nothing at `{path}`"))
        })
        .with_state(desk)
}

async fn usage(State(desk): State<Desk>, uri: Uri) -> Result<Json<Usage>, Problem> {
    let (query, now) = desk.query(Question::Usage, &uri)?;
    desk.readers.ask(move |ledger| question::usage(ledger, &query, now)).await.map(Json)
}

async fn performance(State(desk): State<Desk>, uri: Uri) -> Result<Json<Performance>, Problem> {
    let (query, now) = desk.query(Question::Performance, &uri)?;
    desk.readers.ask(move |ledger| performance::performance(ledger, &query, now)).await.map(Json)
}

async fn requests(State(desk): State<Desk>, uri: Uri) -> Result<Json<Requests>, Problem> {
    let (query, _) = desk.query(Question::Requests, &uri)?;
    desk.readers.ask(move |ledger| question::requests(ledger, &query)).await.map(Json)
}

async fn receipt(
    State(desk): State<Desk>,
    Path(id): Path<String>,
) -> Result<Json<Receipt>, Problem> {
    desk.readers.ask(move |ledger| question::receipt(ledger, &id)).await.map(Json)
}

async fn export(State(desk): State<Desk>, uri: Uri) -> Result<Response, Problem> {
    let (query, now) = desk.query(Question::Export, &uri)?;
    download::file(&desk.readers, query, now).await
}

async fn shared(State(desk): State<Desk>, uri: Uri) -> Result<Response, Problem> {
    let (query, now) = desk.query(Question::Report, &uri)?;
    let name = download::period_name(&query, now);
    let page = desk.readers.ask(move |ledger| report::report(ledger, &query, now)).await?;
    let headers = [
        (CONTENT_TYPE, report::MEDIA_TYPE.to_owned()),
        (CONTENT_DISPOSITION, format!("attachment; filename=\"{name}.html\"")),
        (CONTENT_SECURITY_POLICY, report::POLICY.to_owned()),
    ];
    Ok((headers, page).into_response())
}

async fn changes(State(desk): State<Desk>) -> Response {
    events::stream_of(desk.revision)
}
