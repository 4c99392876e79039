//! What of a document goes into an answer.

use serde_json::{Map, Value};

use super::{Kind, Target};
use crate::{
    collection::{Collection, Document, at, put},
    state::State,
};

/// The document cut to the wanted fields; the id always stays. With `join`, references become objects.
pub(crate) fn project(
    state: &State,
    kind: &Kind,
    document: &Document,
    only: Option<&[String]>,
    join: bool,
) -> Document {
    let mut answer = Map::new();
    match only {
        None => answer.clone_from(document),
        Some(names) => {
            for name in std::iter::once("id").chain(names.iter().map(String::as_str)) {
                let (reference, _) = reference(kind, name).map_or((name, None), |(field, _, inner)| (field, inner));
                if let Some(value) = at(document, reference) {
                    put(&mut answer, reference, value.clone());
                }
            }
        }
    }
    if join {
        for (field, target) in kind.references {
            let Some(Value::String(id)) = at(&answer, field) else {
                continue;
            };
            let mut object = Map::from_iter([("id".to_owned(), Value::String(id.clone()))]);
            for name in only.unwrap_or_default() {
                let Some(inner) = name.strip_prefix(field).and_then(|rest| rest.strip_prefix('.')) else {
                    continue;
                };
                if let Some(value) = target_of(state, *target)
                    .get(id)
                    .and_then(|document| at(document, inner))
                {
                    object.insert(inner.to_owned(), value.clone());
                }
            }
            put(&mut answer, field, Value::Object(object));
        }
    }
    answer
}

/// The reference field that a wanted name speaks of, and what it wants of the other document.
fn reference<'a>(kind: &Kind, name: &'a str) -> Option<(&'static str, Target, Option<&'a str>)> {
    kind.references.iter().find_map(|(field, target)| {
        let rest = name.strip_prefix(field)?;
        match rest.strip_prefix('.') {
            Some(inner) => Some((*field, *target, Some(inner))),
            None => rest.is_empty().then_some((*field, *target, None)),
        }
    })
}

fn target_of(state: &State, target: Target) -> &Collection {
    match target {
        Target::Company => &state.companies,
        Target::User => &state.users,
        Target::Project => &state.projects,
        Target::Task => &state.tasks,
        Target::Queue => &state.queues,
        Target::Model => &state.models,
    }
}
