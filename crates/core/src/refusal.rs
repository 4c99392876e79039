//! Every answer that Portico gives in place of the application's: one variant each, with code, status, whose turn it is, and what
//! to do next. Nothing else in Portico makes up an error answer.

use std::{fmt, net::IpAddr, sync::Arc};

use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::{
    access::AccessRule,
    clock::Timestamp,
    dial::Undialable,
    endpoint::{Slug, TaskId},
    observe::{RequestFault, TaskStatus},
    port_range::PortRange,
};

/// Why the visitor gets our answer and not the application's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    // Who asks.
    /// No credential that counts. Browsers are led to the log-in.
    LogInRequired,
    /// A header of ours that is wrong.
    CredentialRejected,
    /// User name and password, or key and secret, that ClearML rejects at log-in.
    LogInFailed,
    /// Too many failed log-ins; the visitor waits this many seconds.
    LogInDelayed {
        /// Seconds until the next try.
        seconds: u64,
    },
    /// The log-in's round trip took too long, was tampered with, or was started in another browser.
    HandOverInvalid,
    /// The cookie that was set did not come back.
    CookieLost {
        /// True if the cookie was marked `Secure` although the page came over plain HTTP.
        is_secure_over_http: bool,
    },
    /// A foreign page made the visitor's browser send this.
    ForeignPage,

    // May it be reached.
    /// Nothing here that this visitor may know of.
    NotFound,
    /// The task exists, but asks for no endpoint of this name.
    NoEndpoint,
    /// The access rule does not let this visitor in.
    NotAllowed {
        /// The rule.
        rule: AccessRule,
    },
    /// ClearML cannot be asked.
    ClearmlAway,
    /// ClearML rejects the gateway's own key, so nobody can be let in.
    OwnKeyRejected,

    // The task.
    /// The task is over.
    Ended {
        /// How it ended.
        status: TaskStatus,
        /// When.
        at: Timestamp,
    },
    /// The task does not run yet.
    NotRunning {
        /// What it does instead.
        status: TaskStatus,
    },
    /// The task came from a queue that this gateway does not serve.
    WrongQueue {
        /// The task's queue, if known.
        queue: Option<Arc<str>>,
    },
    /// The task's request cannot be understood.
    BadRequestOfTask(RequestFault),
    /// The address may not be dialed.
    AddressRefused {
        /// The address in question.
        address: Option<IpAddr>,
        /// Why not.
        why: Undialable,
    },
    /// Tasks of different owners claim one address: nobody can tell whose it is.
    AddressContested {
        /// One of the others.
        other: TaskId,
    },
    /// A newer task of the same owner claims the address.
    Superseded {
        /// The newer one.
        by: TaskId,
    },
    /// A TCP endpoint at the address of an HTTP endpoint: whoever reaches its port would walk around the HTTP endpoint's rule.
    AddressOfHttp {
        /// The task with the HTTP endpoint; maybe the same one.
        task: TaskId,
    },
    /// Two names of the task have one slug.
    SlugCollision {
        /// The slug.
        slug: Slug,
    },
    /// A TCP endpoint, and this gateway serves none.
    StreamsOff,
    /// A TCP endpoint, asked for by its path.
    StreamOnly,
    /// All public ports are taken.
    NoPortFree {
        /// The public ports.
        range: PortRange,
    },
    /// The task has as many public ports as a task may have, those included that it gave up a short time ago.
    TooManyPorts {
        /// How many that is.
        most: usize,
    },
    /// The one public port that the task asks for is another endpoint's, or another program's.
    PortTaken {
        /// The port.
        port: u16,
    },
    /// The one public port that the task asks for is none of ours.
    PortOutsideRange {
        /// The port.
        port: u16,
        /// The public ports.
        range: PortRange,
    },
    /// The public port is not recorded yet.
    PortPending,
    /// Kubernetes has no living pod of the task any more.
    PodGone,
    /// The task's pods live, but are not dialed.
    PodRefused {
        /// Why not, at most 64 characters.
        why: Arc<str>,
    },
    /// Kubernetes has not confirmed the pod's address for too long.
    PodsUnproven,
    /// A TCP endpoint whose port is another gateway's to give.
    AnotherGatewaysTask {
        /// That gateway; `None`: none gives ports to this task.
        gateway: Option<Arc<str>>,
    },
    /// The task's address is neither its own nor ours: another gateway serves it, or served it.
    OtherGateway {
        /// The address, at most 64 characters.
        address: Arc<str>,
    },
    /// The address that stands in the task is another endpoint's public one.
    CopiedAddress {
        /// The port.
        port: u16,
    },
    /// The task asks that only certain people get in, and streams are not bound to people here.
    NeedsSignIn,

    // The application.
    /// It never accepted a connection yet, and the task is young.
    Starting,
    /// It accepts no connection.
    NotListening {
        /// The port that was dialed.
        port: u16,
    },
    /// No route to the address, or no answer to the connection attempt.
    Unreachable,
    /// It took the request and sent no answer in time.
    UpstreamTimeout,
    /// It closed the connection, or what it sent is no HTTP.
    UpstreamBroken,
    /// It refused to switch protocols but the answer cannot be passed on.
    UpgradeFailed,

    // The request.
    /// `Host` names none of our hosts.
    UnknownHost,
    /// No `Host`, or two.
    BadHost,
    /// Dot segments, backslashes or control characters in the path.
    AmbiguousPath,
    /// Framing that two readers could understand differently.
    BadFraming,
    /// A method that a gateway does not forward (`CONNECT`, `TRACE`).
    MethodNotForwarded,
    /// Headers above the limit, or too slow.
    HeadersTooLarge,

    // Portico.
    /// More is waiting than the gateway takes on.
    Overloaded,
    /// The gateway is about to stop.
    ShuttingDown,
    /// A bug of ours.
    Internal,
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The one who made the request.
    Visitor,
    /// Whoever wrote or started the task.
    Task,
    /// The application in the task.
    Application,
    /// Whoever runs the gateway.
    Administrator,
    /// The ClearML server.
    Clearml,
    /// Nobody: it passes.
    Nobody,
}

impl Refusal {
    /// The stable word for programs, metrics and logs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::LogInRequired => "log_in_required",
            Self::CredentialRejected => "credential_rejected",
            Self::LogInFailed => "log_in_failed",
            Self::LogInDelayed { .. } => "log_in_delayed",
            Self::HandOverInvalid => "hand_over_invalid",
            Self::CookieLost { .. } => "cookie_lost",
            Self::ForeignPage => "foreign_page",
            Self::NotFound => "not_found",
            Self::NoEndpoint => "no_endpoint",
            Self::NotAllowed { .. } => "not_allowed",
            Self::ClearmlAway => "clearml_away",
            Self::OwnKeyRejected => "own_key_rejected",
            Self::Ended { .. } => "ended",
            Self::NotRunning { .. } => "not_running",
            Self::WrongQueue { .. } => "wrong_queue",
            Self::BadRequestOfTask(_) => "bad_request_of_task",
            Self::AddressRefused { .. } => "address_refused",
            Self::AddressContested { .. } => "address_contested",
            Self::Superseded { .. } => "superseded",
            Self::AddressOfHttp { .. } => "address_of_http",
            Self::SlugCollision { .. } => "slug_collision",
            Self::StreamsOff => "streams_off",
            Self::StreamOnly => "stream_only",
            Self::NoPortFree { .. } => "no_port_free",
            Self::TooManyPorts { .. } => "too_many_ports",
            Self::PortTaken { .. } => "port_taken",
            Self::PortOutsideRange { .. } => "port_outside_range",
            Self::PortPending => "port_pending",
            Self::PodGone => "pod_gone",
            Self::PodRefused { .. } => "pod_refused",
            Self::PodsUnproven => "pods_unproven",
            Self::AnotherGatewaysTask { .. } => "another_gateways_task",
            Self::OtherGateway { .. } => "other_gateway",
            Self::CopiedAddress { .. } => "copied_address",
            Self::NeedsSignIn => "needs_sign_in",
            Self::Starting => "starting",
            Self::NotListening { .. } => "not_listening",
            Self::Unreachable => "unreachable",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::UpstreamBroken => "upstream_broken",
            Self::UpgradeFailed => "upgrade_failed",
            Self::UnknownHost => "unknown_host",
            Self::BadHost => "bad_host",
            Self::AmbiguousPath => "ambiguous_path",
            Self::BadFraming => "bad_framing",
            Self::MethodNotForwarded => "method_not_forwarded",
            Self::HeadersTooLarge => "headers_too_large",
            Self::Overloaded => "overloaded",
            Self::ShuttingDown => "shutting_down",
            Self::Internal => "internal",
        }
    }

    /// The HTTP status of the answer.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::LogInRequired | Self::CredentialRejected | Self::LogInFailed => StatusCode::UNAUTHORIZED,
            Self::LogInDelayed { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::HandOverInvalid
            | Self::CookieLost { .. }
            | Self::BadHost
            | Self::AmbiguousPath
            | Self::StreamOnly
            | Self::BadFraming => StatusCode::BAD_REQUEST,
            Self::ForeignPage | Self::NotAllowed { .. } => StatusCode::FORBIDDEN,
            Self::NotFound | Self::NoEndpoint | Self::WrongQueue { .. } | Self::UnknownHost => StatusCode::NOT_FOUND,
            Self::Ended { .. } => StatusCode::GONE,
            Self::MethodNotForwarded => StatusCode::METHOD_NOT_ALLOWED,
            Self::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::UpstreamTimeout => StatusCode::GATEWAY_TIMEOUT,
            Self::ClearmlAway
            | Self::OwnKeyRejected
            | Self::NotRunning { .. }
            | Self::NoPortFree { .. }
            | Self::PortPending
            | Self::PodGone
            | Self::PodsUnproven
            | Self::Starting
            | Self::Overloaded
            | Self::ShuttingDown => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_GATEWAY,
        }
    }

    /// Whose turn it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::LogInRequired
            | Self::CredentialRejected
            | Self::LogInFailed
            | Self::LogInDelayed { .. }
            | Self::HandOverInvalid
            | Self::ForeignPage
            | Self::NotFound
            | Self::NotAllowed { .. }
            | Self::UnknownHost
            | Self::BadHost
            | Self::AmbiguousPath
            | Self::BadFraming
            | Self::MethodNotForwarded
            | Self::StreamOnly
            | Self::AnotherGatewaysTask { .. }
            | Self::HeadersTooLarge => Fault::Visitor,
            Self::ClearmlAway => Fault::Clearml,
            Self::CookieLost { .. }
            | Self::OwnKeyRejected
            | Self::WrongQueue { .. }
            | Self::StreamsOff
            | Self::NoPortFree { .. }
            | Self::PodsUnproven
            | Self::Internal => Fault::Administrator,
            Self::NoEndpoint
            | Self::BadRequestOfTask(_)
            | Self::AddressRefused { .. }
            | Self::AddressContested { .. }
            | Self::Superseded { .. }
            | Self::AddressOfHttp { .. }
            | Self::SlugCollision { .. }
            | Self::TooManyPorts { .. }
            | Self::PortTaken { .. }
            | Self::PortOutsideRange { .. }
            | Self::PodGone
            | Self::PodRefused { .. }
            | Self::OtherGateway { .. }
            | Self::CopiedAddress { .. }
            | Self::NeedsSignIn => Fault::Task,
            Self::NotListening { .. }
            | Self::Unreachable
            | Self::UpstreamTimeout
            | Self::UpstreamBroken
            | Self::UpgradeFailed => Fault::Application,
            Self::Ended { .. }
            | Self::NotRunning { .. }
            | Self::PortPending
            | Self::Starting
            | Self::Overloaded
            | Self::ShuttingDown => Fault::Nobody,
        }
    }

    /// One line that says what happened.
    pub fn title(&self) -> String {
        match self {
            Self::LogInRequired => "Please log in".into(),
            Self::CredentialRejected => "ClearML does not accept this credential".into(),
            Self::LogInFailed => "ClearML does not know this user name and password".into(),
            Self::LogInDelayed { seconds } => format!("Please wait {seconds} seconds"),
            Self::HandOverInvalid => "This log-in has expired".into(),
            Self::CookieLost { .. } => "Your browser did not keep the session".into(),
            Self::ForeignPage => "Another site tried to use your session".into(),
            Self::NotFound => "There is nothing here for you".into(),
            Self::NoEndpoint => "This task has no such endpoint".into(),
            Self::NotAllowed { .. } => "You may not open this endpoint".into(),
            Self::ClearmlAway => "The ClearML server cannot be asked right now".into(),
            Self::OwnKeyRejected => "ClearML does not accept this gateway's own key".into(),
            Self::Ended { status, at } => format!("This task has ended ({status}, {at:.0})"),
            Self::NotRunning { status } => format!("This task is not running yet ({status})"),
            Self::WrongQueue { queue: Some(queue) } => format!("This gateway does not serve the queue {queue:?}"),
            Self::WrongQueue { queue: None } => "This gateway serves only tasks that come from certain queues".into(),
            Self::BadRequestOfTask(fault) => format!("The task's request for an endpoint is wrong: {fault}"),
            Self::AddressRefused {
                address: Some(address), ..
            } => format!("The task's address {address} is not allowed"),
            Self::AddressRefused { address: None, .. } => "The task's address is not known".into(),
            Self::AddressContested { .. } => "Tasks of different owners claim the same address".into(),
            Self::Superseded { .. } => "A newer task has taken over this address".into(),
            Self::AddressOfHttp { .. } => "The task's TCP endpoint leads to an HTTP endpoint's address".into(),
            Self::SlugCollision { slug } => format!("Two endpoints of this task share the name {slug:?} in URLs"),
            Self::StreamsOff => "TCP endpoints are not served here".into(),
            Self::StreamOnly => "This is a TCP endpoint".into(),
            Self::NoPortFree { range } => format!("All public ports ({range}) are taken"),
            Self::TooManyPorts { .. } => "The task has changed its public ports too often, or has too many".into(),
            Self::PortTaken { port } => format!("The public port {port} is taken"),
            Self::PortOutsideRange { port, .. } => format!("The public port {port} is none of this gateway's"),
            Self::PortPending => "The endpoint's public port is not recorded yet".into(),
            Self::PodGone => "The task's pod is gone".into(),
            Self::PodRefused { why } => format!("The task's pod is not dialed: {why}"),
            Self::PodsUnproven => "Kubernetes has not been heard of for too long".into(),
            Self::AnotherGatewaysTask { gateway: Some(name) } => {
                format!("The gateway {name:?} gives ports to this task's TCP endpoints")
            }
            Self::AnotherGatewaysTask { gateway: None } => "No gateway gives ports to this task's TCP endpoints".into(),
            Self::OtherGateway { address } => format!("The task's address {address:?} is another gateway's"),
            Self::CopiedAddress { port } => {
                format!("The public port {port}, which the task names, is another endpoint's")
            }
            Self::NeedsSignIn => {
                "The task asks for people to be told apart, and TCP endpoints do not do that here".into()
            }
            Self::Starting => "The application is starting".into(),
            Self::NotListening { port } => format!("Nothing listens on port {port} of the task"),
            Self::Unreachable => "The task's machine cannot be reached".into(),
            Self::UpstreamTimeout => "The application did not answer in time".into(),
            Self::UpstreamBroken => "The application broke off".into(),
            Self::UpgradeFailed => "The application did not switch protocols".into(),
            Self::UnknownHost => "This gateway goes by another name".into(),
            Self::BadHost => "The request must name exactly one host".into(),
            Self::AmbiguousPath => "The path can be read in more than one way".into(),
            Self::BadFraming => "The request can be read in more than one way".into(),
            Self::MethodNotForwarded => "This method is not forwarded".into(),
            Self::HeadersTooLarge => "The request's headers are too large".into(),
            Self::Overloaded => "The gateway is busy".into(),
            Self::ShuttingDown => "The gateway is restarting".into(),
            Self::Internal => "Something went wrong in the gateway".into(),
        }
    }

    /// What to do next.
    pub fn hint(&self) -> String {
        match self {
            Self::LogInRequired => "Log in with your ClearML user, or send a ClearML key and secret: curl -u <key>:<secret> …".into(),
            Self::CredentialRejected => "Check the key and secret, or create new ones in ClearML under Settings, Workspace.".into(),
            Self::LogInFailed => "Check the user name and password, or use an API key and secret. Portico asks the ClearML server \
                                  and keeps no passwords of its own."
                .into(),
            Self::LogInDelayed { .. } => "There were several failed log-ins. The account is not locked; only the next try is delayed.".into(),
            Self::HandOverInvalid => "Open the link once more and log in within a few minutes, in the same browser.".into(),
            Self::CookieLost { is_secure_over_http: true } => "The session cookie is marked Secure, but this page came over plain \
                HTTP. Administrators: use https in ROUTER_URL, or set ROUTER__HTTP__AUTHORIZATION__COOKIE__SECURE=false."
                .into(),
            Self::CookieLost { .. } => "Allow cookies for this site. Administrators: check that ROUTER_URL is the address that \
                visitors use."
                .into(),
            Self::ForeignPage => "If you meant to open this, type the address or follow a link to it.".into(),
            Self::NotFound => "Check the address. If it is right, your ClearML user may not be allowed to see this task.".into(),
            Self::NoEndpoint => "Did the task call request_external_endpoint, and with this name?".into(),
            Self::NotAllowed { rule } => format!("Its access rule is \"{}\" (from: {}). Ask the task's owner.", rule.who, rule.source),
            Self::ClearmlAway => "What you have open goes on. This page tries again by itself.".into(),
            Self::OwnKeyRejected => "Administrators: set CLEARML_API_ACCESS_KEY and CLEARML_API_SECRET_KEY to a key that ClearML \
                accepts; portico status shows the server's answer."
                .into(),
            Self::Ended { .. } => "Start the task again to get the same address back.".into(),
            Self::NotRunning { .. } => "This page tries again by itself.".into(),
            Self::WrongQueue { .. } => "Administrators: add the queue to LISTEN_QUEUE_NAME, or use the gateway that serves it.".into(),
            Self::BadRequestOfTask(_) => "Correct the call in the task's code, then run it again.".into(),
            Self::AddressRefused { address, why } => address_hint(*address, *why),
            Self::AddressContested { other } => format!(
                "Task {other} claims the same address and port. Portico cannot know whose it is, and lets nobody in until one of \
                 them ends."
            ),
            Self::Superseded { by } => format!("Task {by} of the same owner started later at the same address and port."),
            Self::AddressOfHttp { task } => format!(
                "Task {task} asks for an HTTP endpoint at the same address and port, whose access rule a TCP endpoint would walk \
                 around. Ask for one of the two only, or let the application listen on another port besides."
            ),
            Self::SlugCollision { .. } => "Rename one of the two endpoints.".into(),
            Self::StreamsOff => "Ask for an HTTP endpoint, or use a gateway with a port range for streams.".into(),
            Self::StreamOnly => "Connect to the host and port that ClearML shows (external_address and external_tcp_port) with the \
                application's own client."
                .into(),
            Self::NoPortFree { .. } => "A port becomes free some time after a task ended. Administrators: widen streams.port_range (in the \
                chart streamSession.portRange)."
                .into(),
            Self::TooManyPorts { most } => format!(
                "A task has {most} public ports at most, and an endpoint leaves one for another once within the time for which ports \
                 are kept after their use. Wait, or go back to what the task asked before."
            ),
            Self::PortTaken { .. } => "Ask for another port, or for any: leave out port= of the property portico (or \
                _ROUTER_ENDPOINT_MODE)."
                .into(),
            Self::PortOutsideRange { range, .. } => format!("The public ports are {range}. Ask for one of them, or for any."),
            Self::PortPending => "Administrators: if this lasts, the state store cannot be written; see portico status.".into(),
            Self::PodGone => "ClearML still shows the task as running, but Kubernetes has no pod of it any more. Start the task again to \
                get the same address back."
                .into(),
            Self::PodRefused { .. } => "The pod's events say more: kubectl describe pod.".into(),
            Self::PodsUnproven => "What you have open goes on; nothing new is dialed, because the address may be another pod's by now. \
                Administrators: see portico status, and whether the gateway reaches the API server."
                .into(),
            Self::AnotherGatewaysTask { gateway: Some(_) } => "Connect to the host and port that ClearML shows (external_address and \
                external_tcp_port). Only the gateway that owns a task gives it ports."
                .into(),
            Self::AnotherGatewaysTask { gateway: None } => "Administrators: see portico status for the gateways of the namespace; those \
                that publish and serve the task's queue are silent."
                .into(),
            Self::OtherGateway { .. } => "If no other gateway serves this task, start it again: it then names its own address. \
                Portico never looks names up."
                .into(),
            Self::CopiedAddress { .. } => "The task's external_address and external_tcp_port were copied or edited. Start the task \
                again after a reset."
                .into(),
            Self::NeedsSignIn => "Administrators: set streams.admission to signed-in. Otherwise leave access= out of the property \
                portico: whoever reaches the port then gets as far as the application's own password."
                .into(),
            Self::Starting => "Nothing listens there yet. This page tries again by itself.".into(),
            Self::NotListening { port } => {
                format!("Is the application listening on 0.0.0.0:{port}, not on 127.0.0.1:{port}? Has it crashed? See the task's console log.")
            }
            Self::Unreachable => "The network between the gateway and the task drops the connection. Administrators: check \
                firewalls and network policies."
                .into(),
            Self::UpstreamTimeout => "See the task's console log.".into(),
            Self::UpstreamBroken => "See the task's console log. If the application expects TLS or another protocol on this port, it \
                cannot be an HTTP endpoint."
                .into(),
            Self::UpgradeFailed => "Does the application speak WebSocket at this path?".into(),
            Self::UnknownHost => "Use the address that ClearML shows. Administrators: add further names to http.extra_hosts.".into(),
            Self::BadHost | Self::BadFraming => "Send the request with an ordinary HTTP client.".into(),
            Self::AmbiguousPath => "Send the path without dot segments, backslashes and control characters.".into(),
            Self::MethodNotForwarded => "Use another method.".into(),
            Self::HeadersTooLarge => "Delete this site's cookies and try again.".into(),
            Self::Overloaded | Self::ShuttingDown => "Try again in a moment.".into(),
            Self::Internal => "Administrators: the log has the details under this request's id.".into(),
        }
    }

    /// Seconds after which the same request may succeed by itself: pages try again, programs get `Retry-After`.
    pub fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Starting => Some(2),
            Self::NotRunning { .. } | Self::PortPending | Self::ShuttingDown | Self::Overloaded => Some(5),
            Self::ClearmlAway | Self::PodGone | Self::PodsUnproven => Some(10),
            Self::LogInDelayed { seconds } => Some(*seconds),
            _ => None,
        }
    }
}

fn address_hint(address: Option<IpAddr>, why: Undialable) -> String {
    match why {
        Undialable::Loopback => {
            "The application is bound to this machine's loopback. Use 0.0.0.0 in the application, and let the \
            task claim the machine's own address."
                .into()
        }
        Undialable::LinkLocal | Undialable::Metadata | Undialable::Special => {
            "Addresses of this kind are never dialed.".into()
        }
        Undialable::Own => "This is the gateway itself, or the ClearML server.".into(),
        Undialable::ServerPort => {
            "A part of the ClearML server listens on this port of its machine. Use another port. Administrators: \
            if an application has it, set discovery.allow_server_ports."
                .into()
        }
        Undialable::Unknown => "The task names no address, and ClearML does not know its worker's.".into(),
        Undialable::NotVouchedFor => {
            let line = address.map_or_else(String::new, |address| {
                let bits = if address.is_ipv4() { 32 } else { 128 };
                format!(": discovery.networks: [\"{address}/{bits}\"]")
            });
            format!("It is not the address of the task's worker. Administrators: if it is right, allow it{line}.")
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.code(), self.title())
    }
}
