//! Documents by id, in the order in which they were made.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value};

/// A stored document. Dates are text in one fixed form, so their order is the order of time.
pub(crate) type Document = Map<String, Value>;

/// Documents of one kind.
#[derive(Debug, Default)]
pub(crate) struct Collection {
    documents: BTreeMap<u64, Document>,
    numbers: HashMap<String, u64>,
    next: u64,
}

impl Collection {
    /// Adds a document or replaces the one with this id.
    pub(crate) fn insert(&mut self, id: &str, mut document: Document) {
        document.insert("id".to_owned(), Value::String(id.to_owned()));
        let next = &mut self.next;
        let number = *self.numbers.entry(id.to_owned()).or_insert_with(|| {
            *next += 1;
            *next
        });
        self.documents.insert(number, document);
    }

    /// The document with this id.
    pub(crate) fn get(&self, id: &str) -> Option<&Document> {
        self.documents.get(self.numbers.get(id)?)
    }

    /// The document with this id, for a change.
    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut Document> {
        self.documents.get_mut(self.numbers.get(id)?)
    }

    /// The document with this id, if it belongs to that company.
    pub(crate) fn of(&self, id: &str, company: &str) -> Option<&Document> {
        self.get(id).filter(|document| text(document, "company") == company)
    }

    /// Takes the document out.
    pub(crate) fn remove(&mut self, id: &str) -> Option<Document> {
        self.documents.remove(&self.numbers.remove(id)?)
    }

    /// All documents, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Document> {
        self.documents.values()
    }

    /// All documents for a change, oldest first.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Document> {
        self.documents.values_mut()
    }
}

/// A field's text; empty if it is missing or something else.
pub(crate) fn text<'a>(document: &'a Document, field: &str) -> &'a str {
    document.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// The value at a path of field names.
pub(crate) fn at<'a>(document: &'a Document, path: &str) -> Option<&'a Value> {
    let (first, rest) = path
        .split_once('.')
        .map_or((path, None), |(first, rest)| (first, Some(rest)));
    let value = document.get(first)?;
    match rest {
        None => Some(value),
        Some(rest) => at(value.as_object()?, rest),
    }
}

/// Sets the value at a path of field names and makes the maps on the way.
pub(crate) fn put(document: &mut Document, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            document.insert(path.to_owned(), value);
        }
        Some((first, rest)) => {
            let inner = document.entry(first).or_insert_with(|| Value::Object(Map::new()));
            if !inner.is_object() {
                *inner = Value::Object(Map::new());
            }
            if let Value::Object(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

/// A list field as texts.
pub(crate) fn texts(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Some(Value::String(one)) => vec![one.clone()],
        _ => Vec::new(),
    }
}
