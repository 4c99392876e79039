//! Gathers what an explanation needs from the running gateway, from ClearML and from the port behind the endpoint.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use http::{HeaderMap, HeaderValue, header};
use portico_clearml::KeyState;
use portico_core::{
    decision::Sight,
    endpoint::{Protocol, Slug, TaskId},
    explain::Explanation,
    principal::{CompanyId, Principal, User, UserId},
    refusal::Refusal,
    routes::{Resolved, Route},
    secret::Secret,
    site::Site,
};
use portico_proxy::Probe;

use super::{
    asked::{Asked, NotUnderstood, read},
    report::{EndpointReport, Report},
    sockets::listening_on,
    tell::{nobodys_port, stand_in, tell, tell_stream},
    world::{Findings, Namespace, Port, Visitor, World},
};
use crate::{inside::Inside, own_addresses::own_addresses, public_ports::OpenStreams};

/// How long a port is given to accept a connection.
const PROBE: Duration = Duration::from_secs(3);

/// A question.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// A task's id, a path or a URL.
    pub asked: String,
    /// For whom: a ClearML user's id or name.
    pub user: Option<String>,
    /// For whom: a visitor's `Cookie` header.
    pub cookies: Option<Secret>,
}

/// Answers a question.
///
/// # Errors
/// The question is none.
pub async fn explain(inside: &Inside, question: &Question) -> Result<Report, NotUnderstood> {
    let world = world(inside);
    let asked = read(&question.asked, &world.site)?;
    let wanted = match asked {
        Asked::Task(task) => of_task(&world, task),
        Asked::Endpoint { task, slug } => vec![Wanted::Path(task, slug)],
        Asked::Port { host, port } => match at_port(&world, &host, port) {
            Some(route) => vec![Wanted::Stream(route)],
            None => {
                return Ok(Report {
                    asked: question.asked.trim().to_owned(),
                    endpoints: vec![EndpointReport::of(None, nobodys_port(&world, &host, port))],
                });
            }
        },
        elsewhere => {
            let told = not_an_endpoint(&elsewhere, &world.site);
            return Ok(Report {
                asked: question.asked.trim().to_owned(),
                endpoints: vec![EndpointReport::of(None, told)],
            });
        }
    };
    let visitor = visitor(inside, question).await;
    let connections = OpenStreams::of(&inside.exchanges);
    // Together: each port is given its time to answer.
    let reports = wanted.iter().map(async |wanted| match wanted {
        Wanted::Path(task, slug) => endpoint(inside, &world, &visitor, *task, slug.as_deref()).await,
        Wanted::Stream(route) => stream(inside, &world, &visitor, route, &connections).await,
    });
    let endpoints = futures_util::future::join_all(reports).await;
    Ok(Report {
        asked: question.asked.trim().to_owned(),
        endpoints,
    })
}

fn world(inside: &Inside) -> World {
    let own_key_refused = match &inside.facts.get().key {
        KeyState::Refused(words) => Some(words.clone()),
        KeyState::Accepted | KeyState::Unknown => None,
    };
    World {
        site: inside.site.clone(),
        table: inside.table.get(),
        health: (*inside.health.get()).clone(),
        own_key_refused,
        open_ports: inside.open_ports.get(),
        recording: inside.recording.get(),
        contested: inside.published.get().contested.clone(),
        cluster: inside.cluster.as_ref().map(|sight| Namespace {
            name: sight.namespace.clone(),
            gateways: sight.gateways.get(),
            tasks: sight.tasks.get(),
            health: (*sight.health.get()).clone(),
        }),
        now: inside.clock.now(),
    }
}

/// One thing to be explained.
enum Wanted {
    /// What a path leads to.
    Path(TaskId, Option<String>),
    /// A TCP endpoint.
    Stream(Route),
}

/// The endpoints of a task; the unnamed one stands for a task without any.
fn of_task(world: &World, task: TaskId) -> Vec<Wanted> {
    let routes = || world.table.task(task).map(|task| &task.routes).into_iter().flatten();
    let of = |protocol| routes().filter(move |route| route.key.protocol == protocol);
    let mut slugs: Vec<Option<String>> = of(Protocol::Http)
        .map(|route| route.slug.as_ref().map(ToString::to_string))
        .collect();
    slugs.sort();
    slugs.dedup();
    let mut wanted: Vec<Wanted> = slugs.into_iter().map(|slug| Wanted::Path(task, slug)).collect();
    wanted.extend(of(Protocol::Tcp).map(|route| Wanted::Stream(route.clone())));
    if wanted.is_empty() {
        wanted.push(Wanted::Path(task, None));
    }
    wanted
}

/// The TCP endpoint that has this public port.
fn at_port(world: &World, host: &str, port: u16) -> Option<Route> {
    let streams = world.table.policy().streams.as_ref()?;
    let holder = world
        .table
        .ports()
        .leases
        .holder(port)
        .filter(|_| streams.is_own(host))?;
    world.table.route(holder).cloned()
}

async fn stream(
    inside: &Inside,
    world: &World,
    visitor: &Visitor,
    route: &Route,
    connections: &OpenStreams,
) -> EndpointReport {
    let mut findings = Findings {
        visitor: visitor.clone(),
        sight: Sight::Unasked,
        port: None,
        traffic: None,
    };
    let mut address = None;
    if let Ok(endpoint) = &route.outcome {
        findings.sight = sight(inside, visitor, &Resolved::Endpoint(endpoint), route.key.task).await;
        if !endpoint.is_unproven {
            findings.port = Some(port(inside, endpoint).await);
        }
        findings.traffic = Some(connections.traffic(endpoint.id, &inside.upstreams));
        let streams = world.table.policy().streams.as_ref();
        address = streams.zip(endpoint.port).map(|(streams, port)| streams.address(port));
    }
    EndpointReport::of(address, tell_stream(world, route, &findings))
}

async fn endpoint(
    inside: &Inside,
    world: &World,
    visitor: &Visitor,
    task: TaskId,
    slug: Option<&str>,
) -> EndpointReport {
    let resolved = world.table.at(task, slug);
    let sight = sight(inside, visitor, &resolved, task).await;
    let port = match &resolved {
        Resolved::Endpoint(endpoint) if !endpoint.is_unproven => Some(port(inside, endpoint).await),
        _ => None,
    };
    let findings = Findings {
        visitor: visitor.clone(),
        sight,
        port,
        traffic: None,
    };
    let told = tell(world, &resolved, &findings);
    let slug = slug.and_then(Slug::parse);
    EndpointReport::of(Some(world.site.endpoint_url(task, slug.as_ref())), told)
}

async fn visitor(inside: &Inside, question: &Question) -> Visitor {
    if let Some(cookies) = &question.cookies {
        let mut headers = HeaderMap::new();
        if let Ok(value) = HeaderValue::from_str(cookies.reveal().trim()) {
            headers.insert(header::COOKIE, value);
        }
        let outcome = inside
            .gatekeeper
            .identify(&headers)
            .await
            .map(|identified| identified.principal);
        let faults = inside
            .gatekeeper
            .inspect_sessions(&headers)
            .into_iter()
            .filter_map(Result::err);
        return Visitor::Cookies {
            outcome,
            faults: faults.collect(),
        };
    }
    let Some(word) = &question.user else {
        return Visitor::Owner;
    };
    match inside.clearml.find_users(word).await {
        Err(_) => Visitor::Unasked(word.clone()),
        Ok(people) => match &people[..] {
            [] => Visitor::Unknown(word.clone()),
            [person] => Visitor::Named(named(&person.id, &person.company, &person.name)),
            several => Visitor::Ambiguous(word.clone(), several.iter().map(|person| person.id.clone()).collect()),
        },
    }
}

fn named(id: &UserId, company: &CompanyId, name: &Arc<str>) -> Arc<User> {
    match stand_in(id, company) {
        Principal::User(user) => Arc::new(User {
            name: name.clone(),
            ..(*user).clone()
        }),
        Principal::Nobody => unreachable!("a stand-in is somebody"),
    }
}

/// Does ClearML show the visitor the task? By the visitor's own token where there is one, else on the visitor's behalf.
async fn sight(inside: &Inside, visitor: &Visitor, resolved: &Resolved<'_>, task: TaskId) -> Sight {
    let is_known = matches!(resolved, Resolved::Endpoint(_) | Resolved::Refused { .. });
    match visitor {
        Visitor::Owner => Sight::Visible,
        Visitor::Cookies {
            outcome: Ok(Principal::User(user)),
            ..
        } => inside.gatekeeper.sight(user, task).await,
        Visitor::Named(user) => match inside.clearml.visible_as(&user.id, &[task]).await {
            Ok(Some(seen)) if seen.contains(&task) => Sight::Visible,
            Ok(Some(_)) => Sight::Hidden,
            // An open-source server shows every task to the whole company.
            Ok(None) if !inside.facts.get().is_enterprise() && is_known => Sight::Visible,
            Ok(None) => Sight::Unasked,
            Err(_) => Sight::Unavailable,
        },
        _ => Sight::Unasked,
    }
}

async fn port(inside: &Inside, endpoint: &portico_core::endpoint::Endpoint) -> Port {
    let address: SocketAddr = endpoint.upstream;
    let probe = portico_proxy::probe(address, PROBE).await;
    let is_here = address.ip().is_loopback() || own_addresses().contains(&address.ip().to_canonical());
    Port {
        probe,
        listening_here: (probe == Probe::Refused && is_here).then(|| listening_on(address.port())),
        status: inside.upstreams.status(endpoint.id),
    }
}

fn not_an_endpoint(asked: &Asked, site: &Site) -> Explanation {
    let mut told = Explanation {
        steps: Vec::new(),
        code: None,
        fault: None,
        answer: String::new(),
    };
    match asked {
        Asked::ForeignHost { host, right_url } => {
            told.fail("address", &Refusal::UnknownHost);
            let right = right_url.as_ref().map_or_else(
                || format!("This gateway is {}.", site.router),
                |url| format!("On this gateway the address would be {url}."),
            );
            told.answer = format!(
                "{host} is none of this gateway's hosts. {right} If visitors shall use {host}, add it to http.extra_hosts, or set \
                 gateway.url (ROUTER_URL)."
            );
        }
        Asked::ForeignGateway { name } => {
            told.fail("address", &Refusal::NotFound);
            told.answer = format!(
                "This link was made by the gateway {name:?}. This one is {:?}: ask the other.",
                site.name
            );
        }
        Asked::Elsewhere { path } => {
            told.fail("address", &Refusal::NotFound);
            told.answer = format!(
                "{path} is no endpoint's: these are {}/service/<task id>[__<name>]/.",
                site.router
            );
        }
        Asked::Task(_) | Asked::Endpoint { .. } | Asked::Port { .. } => {}
    }
    told
}

#[cfg(test)]
mod tests {
    use portico_core::site::Origin;

    use super::*;

    fn answer(text: &str) -> String {
        let site = Site {
            name: "main".into(),
            router: Origin::parse("https://gateway.example.com").expect("an origin"),
            console: None,
            extra_hosts: Vec::new(),
        };
        let asked = read(text, &site).expect("understood");
        let told = not_an_endpoint(&asked, &site);
        format!("{}: {}", told.code.unwrap_or_default(), told.answer)
    }

    #[test]
    fn unknown_host() {
        insta::assert_snapshot!(answer(
            "http://10.0.0.1:8080/service/0123456789abcdef0123456789abcdef/lab"
        ));
    }

    #[test]
    fn another_gateways_link() {
        insta::assert_snapshot!(answer(
            "/_gateway/open?router=other&task=0123456789abcdef0123456789abcdef"
        ));
    }

    #[test]
    fn no_endpoints_path() {
        insta::assert_snapshot!(answer("/favicon.ico"));
    }
}
