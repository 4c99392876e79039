//! Finding documents as the server's `get_all` calls do: filters, order, pages, scrolling, and the choice of fields.

mod filter;
mod projection;
mod terms;

use serde_json::{Map, Value};

use crate::{
    collection::{Collection, Document, at, text},
    error::ApiError,
    ids,
    state::State,
};

pub(crate) use projection::project;

/// The most documents that one answer holds; a greater `page_size` is lowered without notice (observed).
pub(crate) const PAGE: usize = 500;

/// What can be asked about one kind of document.
pub(crate) struct Kind {
    /// The word used in error messages.
    pub(crate) name: &'static str,
    /// Fields that `only_fields` may name.
    pub(crate) fields: &'static [&'static str],
    /// Fields filtered by lists.
    pub(crate) lists: &'static [&'static str],
    /// Fields filtered by dates.
    pub(crate) dates: &'static [&'static str],
    /// Prefixes filtered by equality.
    pub(crate) equal: &'static [&'static str],
    /// Fields that hold the id of another document, and of which kind.
    pub(crate) references: &'static [(&'static str, Target)],
}

/// What a reference points to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    /// A company.
    Company,
    /// A user.
    User,
    /// A project.
    Project,
    /// A task.
    Task,
    /// A queue.
    Queue,
    /// A model.
    Model,
}

/// What was found, and where to go on when scrolling.
pub(crate) struct Found {
    /// The documents, cut to the wanted fields.
    pub(crate) documents: Vec<Value>,
    /// Set when the call scrolls.
    pub(crate) scroll: Option<String>,
}

/// Finds the documents of `collection` that the arguments ask for among those of `company`.
///
/// With `join` the references come back as objects (`get_all_ex`), without it as plain ids (`get_all`).
pub(crate) fn find(
    state: &mut State,
    collection: fn(&State) -> &Collection,
    kind: &Kind,
    company: &str,
    arguments: &Map<String, Value>,
    join: bool,
) -> Result<Found, ApiError> {
    let only = wanted(arguments, kind)?;
    let filter = filter::Filter::parse(arguments, kind)?;
    let scrolls = arguments.contains_key("scroll_id");
    let scrolled = arguments.get("scroll_id").and_then(Value::as_str);
    let (start, size) = match scrolled {
        Some(id) => (
            *state
                .scrolls
                .get(id)
                .ok_or_else(|| ApiError::new(400, 1104, format!("Invalid scroll id: scroll_id={id}")))?,
            size(arguments),
        ),
        None => window(arguments, scrolls),
    };

    let mut documents: Vec<&Document> = collection(state)
        .iter()
        .filter(|document| text(document, "company") == company && filter.matches(document))
        .collect();
    order(&mut documents, arguments);
    let chosen = documents.into_iter().skip(start).take(size);
    let documents: Vec<Value> = chosen
        .map(|document| Value::Object(project(state, kind, document, only.as_deref(), join)))
        .collect();

    let scroll = scrolls.then(|| {
        let id = scrolled.map_or_else(ids::fresh, str::to_owned);
        state.scrolls.insert(id.clone(), start + documents.len());
        id
    });
    Ok(Found { documents, scroll })
}

/// The names in `only_fields`. A single text is taken apart into its letters, as observed with a query string.
fn wanted(arguments: &Map<String, Value>, kind: &Kind) -> Result<Option<Vec<String>>, ApiError> {
    let names: Vec<String> = match arguments.get("only_fields") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text.chars().map(String::from).collect(),
        other => crate::collection::texts(other),
    };
    let mut unknown: Vec<String> = names
        .iter()
        .filter(|name| !kind.fields.contains(&name.split('.').next().unwrap_or_default()))
        .cloned()
        .collect();
    if unknown.is_empty() {
        return Ok((!names.is_empty()).then_some(names));
    }
    unknown.sort();
    unknown.dedup();
    Err(ApiError::unknown_fields(&unknown, kind.name))
}

/// First document and how many, from `page` and `page_size` or from `start` and `size`.
fn window(arguments: &Map<String, Value>, scrolls: bool) -> (usize, usize) {
    let number = |name: &str| {
        arguments
            .get(name)
            .and_then(Value::as_u64)
            .and_then(|number| usize::try_from(number).ok())
    };
    if scrolls || arguments.contains_key("size") {
        return (number("start").unwrap_or(0), size(arguments));
    }
    let size = number("page_size").unwrap_or(PAGE).min(PAGE);
    // The size is lowered before the page is counted off.
    (number("page").unwrap_or(0).saturating_mul(size), size)
}

fn size(arguments: &Map<String, Value>) -> usize {
    arguments
        .get("size")
        .and_then(Value::as_u64)
        .and_then(|size| usize::try_from(size).ok())
        .unwrap_or(PAGE)
        .min(PAGE)
}

/// Sorts by `order_by`; equal ones by id.
fn order(documents: &mut [&Document], arguments: &Map<String, Value>) {
    let keys = crate::collection::texts(arguments.get("order_by"));
    if keys.is_empty() {
        return;
    }
    let keys: Vec<(&str, bool)> = keys
        .iter()
        .map(|key| {
            key.strip_prefix('-')
                .map_or((key.as_str(), false), |field| (field, true))
        })
        .collect();
    // Paths are looked up once a document and not once a comparison: there may be ten thousand tasks.
    let mut keyed: Vec<(Vec<Option<&Value>>, &Document)> = documents
        .iter()
        .map(|document| (keys.iter().map(|(field, _)| at(document, field)).collect(), *document))
        .collect();
    keyed.sort_by(|(left, one), (right, other)| {
        let orderings = left.iter().zip(right).zip(&keys).map(|((left, right), (_, falling))| {
            let ordering = compare(*left, *right);
            if *falling { ordering.reverse() } else { ordering }
        });
        orderings
            .fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
            .then_with(|| text(one, "id").cmp(text(other, "id")))
    });
    for (place, (_, document)) in documents.iter_mut().zip(keyed) {
        *place = document;
    }
}

fn compare(left: Option<&Value>, right: Option<&Value>) -> std::cmp::Ordering {
    match (left, right) {
        (Some(Value::String(left)), Some(Value::String(right))) => left.cmp(right),
        (Some(Value::Number(left)), Some(Value::Number(right))) => left
            .as_f64()
            .partial_cmp(&right.as_f64())
            .unwrap_or(std::cmp::Ordering::Equal),
        (left, right) => left.is_some().cmp(&right.is_some()),
    }
}
