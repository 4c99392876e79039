//! Lines that come together, of which one is an error.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use serde::Deserialize;

use super::*;
use crate::{Settings, connect};

#[derive(Deserialize)]
struct Thing {
    metadata: Metadata,
}

impl Object for Thing {
    fn metadata(&self) -> Metadata {
        self.metadata.clone()
    }
}

fn line(kind: &str, name: &str, version: u32) -> Bytes {
    format!(r#"{{"type":"{kind}","object":{{"metadata":{{"name":"{name}","resourceVersion":"{version}"}}}}}}"#).into()
}

#[tokio::test]
async fn what_came_before_an_error_is_told_before_the_watch_goes_on_behind_it() {
    // Nobody is asked.
    let settings = Settings {
        server: "http://127.0.0.1:1".to_owned(),
        ca_file: None,
        token_file: None,
        token: None,
    };
    let kube = connect(&settings).unwrap();
    let place = Place {
        path: "/things".to_owned(),
        selector: String::new(),
    };
    let error = r#"{"type":"ERROR","object":{"kind":"Status","code":500,"reason":"InternalError"}}"#;
    for torn in [error, r#"{"type":"MODIFIED","object":{"metadata":"#] {
        let mut follower = Follower {
            kube: &kube,
            place: &place,
            convert: |thing: Thing| Some(thing.metadata.resource_version),
            known: [("dead".to_owned(), "3".to_owned()), ("a".to_owned(), "4".to_owned())].into(),
            version: Some("5".to_owned()),
        };
        let mut told = Vec::new();
        let lines = [
            line("DELETED", "dead", 6),
            line("BOOKMARK", "", 7),
            Bytes::from_static(torn.as_bytes()),
        ];
        let outcome = follower.batch::<Thing>(&lines.into(), &mut |step: Step<'_, String>| {
            told.push(match step {
                Step::Complete(known) => format!("{known:?}"),
                Step::Proof => "proof".to_owned(),
                Step::Failed(_) => "failed".to_owned(),
            });
        });
        assert!(outcome.is_err());
        assert_eq!(told, [r#"{"a": "4"}"#]);
        assert_eq!(follower.version.as_deref(), Some("7"));
    }
}
