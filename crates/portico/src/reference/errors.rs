//! `docs/reference/errors.md` from the refusals.

use std::fmt::Write as _;

use portico_core::{
    access::{AccessRule, RuleSource, Who},
    clock::Timestamp,
    dial::Undialable,
    endpoint::{Slug, TaskId},
    observe::{RequestFault, TaskStatus},
    port_range::PortRange,
    refusal::{Fault, Refusal},
};
use portico_proxy::StreamRefusal;

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
    let range = PortRange::new(9000, 9010).expect("a range");
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
                refused(Undialable::ServerPort),
                Refusal::AddressRefused {
                    address: None,
                    why: Undialable::Unknown,
                },
                Refusal::AddressContested { other },
                Refusal::Superseded { by: other },
                Refusal::AddressOfHttp { task: other },
                Refusal::SlugCollision { slug: Slug::of("ui") },
                Refusal::StreamsOff,
                Refusal::StreamOnly,
                Refusal::NoPortFree { range },
                Refusal::TooManyPorts { most: 32 },
                Refusal::PortTaken { port: 9005 },
                Refusal::PortOutsideRange { port: 8005, range },
                Refusal::PortPending,
                Refusal::PodGone,
                Refusal::PodRefused {
                    why: portico_core::pods::PodFault::HostNetwork.brief().into(),
                },
                Refusal::PodsUnproven,
                Refusal::AnotherGatewaysTask {
                    gateway: Some("outside".into()),
                },
                Refusal::AnotherGatewaysTask { gateway: None },
                Refusal::OtherGateway {
                    address: "other.example.com".into(),
                },
                Refusal::CopiedAddress { port: 9005 },
                Refusal::NeedsSignIn,
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
        | R::AddressOfHttp { .. }
        | R::SlugCollision { .. }
        | R::StreamsOff
        | R::StreamOnly
        | R::NoPortFree { .. }
        | R::TooManyPorts { .. }
        | R::PortTaken { .. }
        | R::PortOutsideRange { .. }
        | R::PortPending
        | R::PodGone
        | R::PodRefused { .. }
        | R::PodsUnproven
        | R::AnotherGatewaysTask { .. }
        | R::OtherGateway { .. }
        | R::CopiedAddress { .. }
        | R::NeedsSignIn
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
        | R::Internal => 50,
    }
}

const STREAMS: &str = "
## TCP connections

Nothing can be told to a visitor who speaks neither HTTP nor anything else that Portico knows: the connection is closed at once, and the
access log (`refusal`) and the metric `portico_stream_refusals_total` have the code. `portico explain <host>:<port>` tells why.

| code | why |
|---|---|
";

/// Does not compile when there is one that nobody has described.
fn of_stream(refusal: StreamRefusal) -> &'static str {
    use StreamRefusal as R;
    match refusal {
        R::Limit => "There are as many connections as `streams.connections` allows.",
        R::AddressLimit => {
            "There are as many connections from this address as `streams.connections_per_address` allows."
        }
        R::Busy => "Too many visitors wait for the endpoint's application already.",
        R::BadProxyHeader => {
            "A trusted proxy sent no PROXY header that can be read, or not in time. Does it speak the PROXY protocol?"
        }
        R::SourceNotAllowed => "The visitor's address is in none of `streams.allowed_sources`.",
        R::LogInRequired => "Nobody is logged in at the visitor's address; log in with a browser first.",
        R::NotAllowed => "Whoever is logged in at the visitor's address may not open the endpoint.",
        R::ClearmlAway => "ClearML would have to be asked whether the visitor sees the task, and does not answer.",
        R::NoEndpoint => "The endpoint is gone, or has another port now.",
        R::NotListening => "The application's port is closed.",
        R::Unreachable => "The application's machine cannot be reached.",
        R::Unproven => "Kubernetes has not confirmed the application's address for `discovery.kubernetes.stale`.",
        R::Internal => "The gateway has no socket left. Administrators: raise the limit of open files.",
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
    page.push_str(STREAMS);
    for refusal in StreamRefusal::ALL {
        let _ = writeln!(page, "| `{}` | {} |", refusal.code(), of_stream(refusal));
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
