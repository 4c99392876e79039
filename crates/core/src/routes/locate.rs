//! From a path to a name. The same bytes are routed, decided and forwarded: nothing is decoded here.

use crate::{
    endpoint::{Slug, TaskId},
    site::SERVICE,
};

/// The endpoint that a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location<'p> {
    /// Its task.
    pub task: TaskId,
    /// Its slug; `None` for the unnamed endpoint.
    pub slug: Option<&'p str>,
    /// What follows the prefix: empty (the closing slash is missing) or beginning with `/`.
    pub rest: &'p str,
}

/// Reads `/service/<32 hex>[__<slug>][/…]`. Anything else, however similar, names no endpoint.
pub fn locate(path: &str) -> Option<Location<'_>> {
    let name_and_rest = path.strip_prefix('/')?.strip_prefix(SERVICE)?.strip_prefix('/')?;
    let (name, rest) = name_and_rest.split_at(name_and_rest.find('/').unwrap_or(name_and_rest.len()));
    let (task, slug) = name.split_at_checked(TaskId::LENGTH)?;
    let slug = match slug {
        "" => None,
        slug => Some(slug.strip_prefix("__")?),
    };
    if slug.is_some_and(|slug| Slug::parse(slug).is_none()) {
        return None;
    }
    Some(Location {
        task: TaskId::parse(task)?,
        slug,
        rest,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn the_prefix_and_what_follows_are_told_apart() {
        for (path, slug, rest) in [
            (format!("/service/{ID}"), None, ""),
            (format!("/service/{ID}/"), None, "/"),
            (format!("/service/{ID}__ui/a//b%2Fc"), Some("ui"), "/a//b%2Fc"),
        ] {
            assert_eq!(
                locate(&path),
                Some(Location {
                    task: TaskId::parse(ID).expect("an id"),
                    slug,
                    rest
                }),
                "{path}"
            );
        }
    }

    #[test]
    fn look_alikes_name_nothing() {
        for path in [
            "",
            "/",
            "/service",
            "/service/",
            &format!("service/{ID}/"),
            &format!("//service/{ID}/"),
            &format!("/Service/{ID}/"),
            &format!("/service//{ID}/"),
            &format!("/service/{}/", ID.to_uppercase()),
            &format!("/service/{ID};x/"),
            &format!("/service/{ID}%2F"),
            &format!("/service/{ID}__/"),
            &format!("/service/{ID}__UI/"),
            &format!("/service/{ID}__a__b/"),
            &format!("/%73ervice/{ID}/"),
        ] {
            assert_eq!(locate(path), None, "{path}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(path in ".{0,120}") {
            let _ = locate(&path);
        }
    }
}
