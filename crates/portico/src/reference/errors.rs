//! `docs/reference/errors.md` from the refusals.

use std::fmt::Write as _;

use portico_core::{
    access::{AccessRule, RuleSource, Who},
    clock::Timestamp,
    dial::Undialable,
    endpoint::{Slug, TaskId},
    observe::{RequestFault, TaskStatus},
    refusal::{Fault, Refusal},
};

const HEAD: &str = "\
# Refusals

<!-- Made from crates/core/src/refusal.rs; see crates/portico/src/reference.rs. -->

Whatever Portico answers in place of an application is one of these. Browsers get a page, everybody else JSON:

```json
{\"error\": {\"code\": \"not_found\", \"status\": 404, \"title\": \"…\", \"hint\": \"…\", \"fault\": \"visitor\", \"request_id\": \"…\"}}
```

The code is stable: programs, metrics and logs can rely on it. Titles and hints are for people and may change. `fault` says whose turn
it is: `visitor`, `task` (whoever wrote or started it), `application`, `administrator` (of the gateway), `clearml` (the server), or
`nobody`: it passes. Where waiting helps, the answer has `Retry-After`, and the page tries again by itself.
";

/// Each refusal once, or more often where its text depends on what is in it.
fn examples() -> Vec<(&'static str, Vec<Refusal>)> {
    let other = TaskId::parse("0123456789abcdef0123456789abcdef").expect("an id");
    let refused = |why| Refusal::AddressRefused {
        address: Some([10, 0, 0, 7].into()),
        why,
    };
    vec![
        (
            "Who asks",
            vec![
                Refusal::LogInRequired,
                Refusal::CredentialRejected,
                Refusal::LogInFailed,
                Refusal::LogInDelayed { seconds: 30 },
                Refusal::HandOverInvalid,
                Refusal::CookieLost {
                    is_secure_over_http: false,
                },
                Refusal::CookieLost {
                    is_secure_over_http: true,
                },
                Refusal::ForeignPage,
            ],
        ),
        (
            "May it be reached",
            vec![
                Refusal::NotFound,
                Refusal::NoEndpoint,
                Refusal::NotAllowed {
                    rule: AccessRule {
                        who: Who::Owner,
                        source: RuleSource::Default,
                    },
                },
                Refusal::ClearmlAway,
                Refusal::OwnKeyRejected,
            ],
        ),
        (
            "The task",
            vec![
                Refusal::Ended {
                    status: TaskStatus::Completed,
                    at: Timestamp::from_secs(1_800_000_000),
                },
                Refusal::NotRunning {
                    status: TaskStatus::Queued,
                },
                Refusal::WrongQueue {
                    queue: Some("gpu".into()),
                },
                Refusal::BadRequestOfTask(RequestFault::PortOutOfRange(70_000)),
                refused(Undialable::NotVouchedFor),
                refused(Undialable::Loopback),
                refused(Undialable::LinkLocal),
                refused(Undialable::Own),
                Refusal::AddressRefused {
                    address: None,
                    why: Undialable::Unknown,
                },
                Refusal::AddressContested { other },
                Refusal::Superseded { by: other },
                Refusal::SlugCollision { slug: Slug::of("ui") },
                Refusal::StreamsOff,
            ],
        ),
        (
            "The application",
            vec![
                Refusal::Starting,
                Refusal::NotListening { port: 8888 },
                Refusal::Unreachable,
                Refusal::UpstreamTimeout,
                Refusal::UpstreamBroken,
                Refusal::UpgradeFailed,
            ],
        ),
        (
            "The request",
            vec![
                Refusal::UnknownHost,
                Refusal::BadHost,
                Refusal::AmbiguousPath,
                Refusal::BadFraming,
                Refusal::MethodNotForwarded,
                Refusal::HeadersTooLarge,
            ],
        ),
        (
            "Portico itself",
            vec![Refusal::Overloaded, Refusal::ShuttingDown, Refusal::Internal],
        ),
    ]
}

/// Does not compile when there is a refusal that nobody has written an example for; then raise the number, too.
fn number_of_refusals(any: &Refusal) -> usize {
    use Refusal as R;
    match any {
        R::LogInRequired
        | R::CredentialRejected
        | R::LogInFailed
        | R::LogInDelayed { .. }
        | R::HandOverInvalid
        | R::CookieLost { .. }
        | R::ForeignPage
        | R::NotFound
        | R::NoEndpoint
        | R::NotAllowed { .. }
        | R::ClearmlAway
        | R::OwnKeyRejected
        | R::Ended { .. }
        | R::NotRunning { .. }
        | R::WrongQueue { .. }
        | R::BadRequestOfTask(_)
        | R::AddressRefused { .. }
        | R::AddressContested { .. }
        | R::Superseded { .. }
        | R::SlugCollision { .. }
        | R::StreamsOff
        | R::Starting
        | R::NotListening { .. }
        | R::Unreachable
        | R::UpstreamTimeout
        | R::UpstreamBroken
        | R::UpgradeFailed
        | R::UnknownHost
        | R::BadHost
        | R::AmbiguousPath
        | R::BadFraming
        | R::MethodNotForwarded
        | R::HeadersTooLarge
        | R::Overloaded
        | R::ShuttingDown
        | R::Internal => 36,
    }
}

fn page() -> String {
    let mut page = String::from(HEAD);
    for (section, refusals) in examples() {
        let _ = write!(page, "\n## {section}\n");
        let mut code = "";
        for refusal in refusals {
            if refusal.code() != code {
                code = refusal.code();
                let turn = match refusal.fault() {
                    Fault::Visitor => "visitor",
                    Fault::Task => "task",
                    Fault::Application => "application",
                    Fault::Administrator => "administrator",
                    Fault::Clearml => "clearml",
                    Fault::Nobody => "nobody",
                };
                let status = refusal.status();
                let retry = refusal
                    .retry_after()
                    .map_or_else(String::new, |seconds| format!(", again after {seconds} s"));
                let _ = write!(page, "\n### {code}\n\n{status}, fault: {turn}{retry}.\n");
            }
            let _ = write!(page, "\n> **{}.** {}\n", refusal.title(), refusal.hint());
        }
    }
    page
}

#[test]
fn the_reference_of_the_refusals_is_up_to_date() {
    let all: Vec<Refusal> = examples().into_iter().flat_map(|(_, refusals)| refusals).collect();
    let mut codes: Vec<&str> = all.iter().map(Refusal::code).collect();
    codes.dedup();
    let mut unique = codes.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), codes.len(), "each refusal stands in one place");
    assert_eq!(unique.len(), number_of_refusals(&all[0]), "each refusal has an example");
    super::keep("errors.md", &page());
}
