//! All values of the chart: names, types, defaults and what they are for.
//!
//! `values.yaml`, `values.schema.json`, `README.md` and `files/values.json` of `charts/portico` are made from this list by
//! `cargo xtask chart`.

mod own;
mod taken_over;

/// What may be written. Every value may also be left blank, which is the same as not saying it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    Text,
    OneOf(&'static [&'static str]),
    YesNo,
    /// A whole number from the first to the second.
    Number(u32, u32),
    Texts,
    /// A list of mappings, each with at least these keys.
    Mappings(&'static [&'static str]),
    /// A mapping from names to texts.
    TextsByName,
    /// A mapping that is passed on as it is.
    Mapping,
}

/// Where a name comes from, and what becomes of its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Portico's own.
    Own,
    /// The enterprise chart has the same.
    Shared,
    /// An older name of the enterprise chart; the newer one is given.
    Older(&'static str),
    /// The enterprise chart has it; it means nothing here, and this is why.
    Unused(&'static str),
}

/// One value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value {
    /// Its path: `ingress.hostName`.
    pub(super) path: &'static str,
    pub(super) form: Form,
    /// As YAML; empty = blank.
    pub(super) default: &'static str,
    pub(super) about: &'static str,
    pub(super) standing: Standing,
}

const PORT: Form = Form::Number(1, 65535);

const fn own(path: &'static str, form: Form, default: &'static str, about: &'static str) -> Value {
    Value {
        path,
        form,
        default,
        about,
        standing: Standing::Own,
    }
}

const fn shared(path: &'static str, form: Form, default: &'static str, about: &'static str) -> Value {
    Value {
        path,
        form,
        default,
        about,
        standing: Standing::Shared,
    }
}

const fn older(path: &'static str, form: Form, newer: &'static str) -> Value {
    Value {
        path,
        form,
        default: "",
        about: "",
        standing: Standing::Older(newer),
    }
}

const fn unused(path: &'static str, form: Form, why: &'static str) -> Value {
    Value {
        path,
        form,
        default: "",
        about: "",
        standing: Standing::Unused(why),
    }
}

/// The values in the order in which `values.yaml` shows them; those of one section stand together.
pub(super) fn all() -> impl Iterator<Item = &'static Value> {
    taken_over::VALUES.iter().chain(own::VALUES)
}

/// Those that `values.yaml` shows: not the older names and not what has no meaning.
pub(super) fn shown() -> impl Iterator<Item = &'static Value> {
    all().filter(|value| matches!(value.standing, Standing::Own | Standing::Shared))
}

/// The paths of all sections, each before its parts.
pub(super) fn sections() -> Vec<String> {
    let mut sections = Vec::new();
    for value in all() {
        for (end, _) in value.path.match_indices('.') {
            let section = value.path[..end].to_owned();
            if !sections.contains(&section) {
                sections.push(section);
            }
        }
    }
    sections
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_name_is_listed_twice_and_none_is_both_a_value_and_a_section() {
        let mut seen = BTreeSet::new();
        let sections = sections();
        for value in all() {
            assert!(seen.insert(value.path), "{} is listed twice", value.path);
            assert!(
                !sections.iter().any(|section| section == value.path),
                "{} is a section, too",
                value.path
            );
        }
    }

    #[test]
    fn an_older_name_leads_to_one_that_is_shown() {
        for value in all() {
            if let Standing::Older(newer) = value.standing {
                assert!(shown().any(|other| other.path == newer), "{newer} is not shown");
            }
        }
    }

    #[test]
    fn values_of_one_section_stand_together() {
        let mut done = BTreeSet::new();
        let mut last = "";
        for value in shown() {
            let section = value.path.split('.').next().unwrap_or_default();
            if section != last {
                assert!(done.insert(section), "{section} comes in two places");
                last = section;
            }
        }
    }
}
