//! The visitor's list of endpoints: what [`decide`] lets them open, and what is wrong with their own.

use std::sync::Arc;

use portico_core::{
    access::Who,
    decision::{Decision, Sight, decide, shares_company},
    endpoint::{Protocol, TaskId},
    foreign_text,
    observe::ObservedTask,
    principal::Principal,
    refusal::{Fault, Refusal},
    routes::{Resolved, Route, RouteTable},
    site::Site,
};

/// Rows on one page.
pub(crate) const PAGE: usize = 50;
/// Tasks about which ClearML is asked together.
const BATCH: usize = 500;
/// The longest name that a page shows, in characters.
const NAME_MAX: usize = 120;

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query {
    /// Words that must all occur; in lower case.
    pub(crate) words: Vec<String>,
    /// Rows that earlier pages showed.
    pub(crate) skip: usize,
}

/// One page of the list.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) rows: Vec<Row>,
    /// True if another page follows.
    pub(crate) has_more: bool,
    /// True if ClearML could not be asked about some of them.
    pub(crate) is_incomplete: bool,
}

/// One endpoint, ready to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// The task's name; escape it.
    pub(crate) name: String,
    /// The endpoint's own name; escape it.
    pub(crate) endpoint: Option<String>,
    pub(crate) task: TaskId,
    pub(crate) owner: String,
    pub(crate) is_own: bool,
    pub(crate) is_stream: bool,
    /// Where it is reached, if it can be.
    pub(crate) url: Option<String>,
    /// Its page in ClearML.
    pub(crate) task_url: Option<String>,
    /// In words.
    pub(crate) state: String,
    /// The state's look: nothing, `off` or `bad`.
    pub(crate) kind: &'static str,
    pub(crate) hint: Option<String>,
    pub(crate) access: Option<String>,
}

/// One route of a task, before anybody asked whether the visitor sees the task.
struct Candidate<'t> {
    task: &'t Arc<ObservedTask>,
    route: &'t Route,
    is_own: bool,
    sort: (bool, bool, String),
}

/// The page of `table` that `principal` gets for `query`. `sights` answers which of some tasks the visitor sees, in the same order.
pub(crate) async fn list<S: Future<Output = Vec<Sight>>>(
    table: &RouteTable,
    principal: &Principal,
    query: &Query,
    places: &Places<'_>,
    sights: impl Fn(Vec<TaskId>) -> S,
) -> Listing {
    let mut listing = Listing::default();
    let mut skipped = 0;
    for batch in candidates(table, principal, query).chunks(BATCH) {
        let sights = sights(batch.iter().map(|candidate| candidate.task.id).collect()).await;
        for (candidate, sight) in batch.iter().zip(sights) {
            match judge(principal, candidate, sight) {
                Judgement::Show if skipped < query.skip => skipped += 1,
                Judgement::Show if listing.rows.len() == PAGE => {
                    listing.has_more = true;
                    return listing;
                }
                Judgement::Show => listing.rows.push(places.row(candidate)),
                Judgement::Unknown => listing.is_incomplete = true,
                Judgement::Hide => {}
            }
        }
    }
    listing
}

enum Judgement {
    Show,
    Hide,
    Unknown,
}

fn judge(principal: &Principal, candidate: &Candidate<'_>, sight: Sight) -> Judgement {
    match decide(principal, &resolved(candidate), sight) {
        Decision::Allow => Judgement::Show,
        // Not the visitor's right to come in is in question, but whether anything is there to come into.
        Decision::Refuse(refusal) if candidate.is_own && candidate.route.outcome.as_ref().err() == Some(&refusal) => {
            Judgement::Show
        }
        Decision::Refuse(Refusal::ClearmlAway) => Judgement::Unknown,
        Decision::Refuse(_) | Decision::AskSight => Judgement::Hide,
    }
}

fn resolved<'t>(candidate: &Candidate<'t>) -> Resolved<'t> {
    match &candidate.route.outcome {
        Ok(endpoint) => Resolved::Endpoint(endpoint),
        Err(refusal) => Resolved::Refused {
            task: candidate.task,
            refusal,
        },
    }
}

/// What could be shown if the visitor saw every task of the company, own ones first. Only this is asked about.
fn candidates<'t>(table: &'t RouteTable, principal: &Principal, query: &Query) -> Vec<Candidate<'t>> {
    let me = match principal {
        Principal::User(user) => Some(&user.id),
        Principal::Nobody => None,
    };
    let tasks = table
        .tasks()
        .filter(|routes| shares_company(principal, &routes.task.company));
    let mut candidates: Vec<_> = tasks
        .flat_map(|routes| routes.routes.iter().map(|route| (&routes.task, route)))
        .filter(|(task, route)| matches(task, route, &query.words))
        .map(|(task, route)| {
            let is_own = Some(&task.owner) == me;
            let sort = (!is_own, route.outcome.is_err(), task.name.to_lowercase());
            Candidate {
                task,
                route,
                is_own,
                sort,
            }
        })
        .filter(|candidate| matches!(judge(principal, candidate, Sight::Visible), Judgement::Show))
        .collect();
    candidates.sort_by(|one, two| (&one.sort, &one.route.key).cmp(&(&two.sort, &two.route.key)));
    candidates
}

fn matches(task: &ObservedTask, route: &Route, words: &[String]) -> bool {
    if words.is_empty() {
        return true;
    }
    let id = task.id.to_string();
    let name = route.key.name.as_deref().unwrap_or_default();
    let text = [&*task.name, name, task.owner.as_str(), &id].join("\n").to_lowercase();
    words.iter().all(|word| text.contains(word.as_str()))
}

/// Where things are: makes links.
pub(crate) struct Places<'s> {
    pub(crate) site: &'s Site,
    pub(crate) web_url: Option<&'s str>,
}

impl Places<'_> {
    fn row(&self, candidate: &Candidate<'_>) -> Row {
        let Candidate {
            task, route, is_own, ..
        } = candidate;
        let (state, kind, hint, access, url) = match &route.outcome {
            Ok(endpoint) => {
                let url = self.site.endpoint_url(task.id, route.slug.as_ref());
                (
                    "Routed".to_owned(),
                    "",
                    None,
                    Some(whom(&endpoint.access.who)),
                    Some(url),
                )
            }
            Err(refusal) => {
                let kind = if refusal.fault() == Fault::Nobody { "off" } else { "bad" };
                (cut(&refusal.title()), kind, Some(refusal.hint()), None, None)
            }
        };
        Row {
            name: name_of(&task.name),
            endpoint: route.key.name.as_deref().map(cut),
            task: task.id,
            owner: cut(task.owner.as_str()),
            is_own: *is_own,
            is_stream: route.key.protocol == Protocol::Tcp,
            url,
            task_url: self.web_url.map(|web| task_url(web, task.id)),
            state,
            kind,
            hint,
            access,
        }
    }
}

/// Whom an access rule lets in, for people.
fn whom(who: &Who) -> String {
    match who {
        Who::Owner => "Only for its owner".into(),
        Who::Users(users) if users.len() == 1 => "For its owner and one named user".into(),
        Who::Users(users) => format!("For its owner and {} named users", users.len()),
        Who::Visible => "For everybody who sees the task in ClearML".into(),
        Who::Public => "For everybody, without log-in".into(),
    }
}

/// A task's page in ClearML's web application, whatever its project (observed with the SDK's own links).
fn task_url(web: &str, task: TaskId) -> String {
    format!("{}/projects/*/experiments/{task}/output/log", web.trim_end_matches('/'))
}

/// A task's name as a heading; never empty.
pub(crate) fn name_of(name: &str) -> String {
    if name.trim().is_empty() {
        "(no name)".into()
    } else {
        cut(name)
    }
}

/// Text of foreign making, made short and plain enough to be shown.
pub(crate) fn cut(text: &str) -> String {
    foreign_text::plain(text, NAME_MAX)
}
