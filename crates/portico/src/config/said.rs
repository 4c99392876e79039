//! What the file and the environment say, each piece with its place. Nothing is understood here yet.

use std::{collections::BTreeMap, fmt};

use super::{Mistake, Notice, Place, kubernetes::Cluster};

/// The pieces by key path, the environment's over the file's.
#[derive(Default)]
pub(super) struct Said {
    pieces: BTreeMap<&'static str, Piece>,
    /// What could not even be taken in.
    pub(super) mistakes: Vec<Mistake>,
    /// What was noticed on the way.
    pub(super) notices: Vec<Notice>,
    /// Where this process is.
    pub(super) cluster: Cluster,
}

/// One piece.
#[derive(Clone)]
pub(super) struct Piece {
    pub(super) value: Value,
    pub(super) place: Place,
}

/// A piece's value: structured in the file, text in the environment.
#[derive(Clone)]
pub(super) enum Value {
    Yaml(serde_yaml_ng::Value),
    Text(String),
}

impl fmt::Debug for Said {
    /// Without the values: secrets are among them.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_set().entries(self.pieces.keys()).finish()
    }
}

impl Said {
    pub(super) fn say(&mut self, key: &'static str, value: Value, place: Place) {
        self.pieces.insert(key, Piece { value, place });
    }

    pub(super) fn get(&self, key: &str) -> Option<&Piece> {
        self.pieces.get(key)
    }

    pub(super) fn place(&self, key: &'static str) -> Place {
        self.get(key).map_or(Place::Unsaid(key), |piece| piece.place.clone())
    }

    /// A value and the file that holds it are two ways to say one thing: what is said later takes back the other.
    pub(super) fn take_back(&mut self, key: &str) {
        self.pieces.remove(key);
    }

    pub(super) fn mistake(&mut self, place: Place, what: impl Into<String>, remedy: impl Into<String>) {
        self.mistakes.push(Mistake {
            place,
            what: what.into(),
            remedy: remedy.into(),
        });
    }

    pub(super) fn notice(&mut self, place: Place, what: impl Into<String>) {
        self.notices.push(Notice {
            place,
            what: what.into(),
        });
    }
}

/// The nearest of several names, if one is near enough to be what was meant.
pub(super) fn nearest<'n>(name: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    names
        .into_iter()
        .map(|known| (strsim::normalized_damerau_levenshtein(name, known), known))
        .filter(|(likeness, _)| *likeness > 0.7)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, known)| known)
}
