//! Before somebody else's application on the shared origin: whose it is, and what its scripts can do.

use axum::{
    Extension,
    body::Body,
    http::{Response, StatusCode},
};
use portico_auth::return_to::return_to;
use portico_core::{
    decision::{Decision, Sight, decide},
    endpoint::Endpoint,
    refusal::Refusal,
    routes::Resolved,
};
use serde::Deserialize;

use crate::{
    asked::{Asked, Entered},
    fields::Fields,
    listing::{cut, name_of},
    pages::WarningPage,
    respond,
};

/// How long a browser remembers that its user was warned, in seconds.
const REMEMBERED: u32 = 30 * 24 * 3600;

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Wish {
    /// Path and query on this origin.
    to: Option<String>,
}

/// `GET /_gateway/continue`: the warning.
pub(crate) async fn show(Extension(asked): Extension<Asked>, Fields(wish): Fields<Wish>) -> Response<Body> {
    let (entered, to) = match enter(&asked, wish.to.as_deref()).await {
        Ok(entered) => entered,
        Err(answer) => return answer,
    };
    let table = asked.state.table.get();
    match endpoint(&asked, &entered, table.resolve(path(&to))).await {
        Ok(endpoint) if entered.user().is_some_and(|user| user.id == endpoint.owner) => {
            entered.finish(respond::redirect(&to))
        }
        Ok(endpoint) => {
            let mut frame = asked.frame();
            frame.visitor = entered.user().map(|user| cut(&user.name));
            let page = WarningPage {
                frame,
                task_name: name_of(&endpoint.task_name),
                endpoint: endpoint.key.name.as_deref().map(cut),
                owner: cut(endpoint.owner.as_str()),
                origin: asked.state.site.router.to_string(),
                to,
            };
            entered.finish(respond::page(&asked.state.site, StatusCode::OK, &page))
        }
        Err(refusal) => entered.finish(asked.refuse(&refusal)),
    }
}

/// `POST /_gateway/continue`: remembers and leads on.
pub(crate) async fn go_on(Extension(asked): Extension<Asked>, Fields(wish): Fields<Wish>) -> Response<Body> {
    let (entered, to) = match enter(&asked, wish.to.as_deref()).await {
        Ok(entered) => entered,
        Err(answer) => return answer,
    };
    let table = asked.state.table.get();
    match endpoint(&asked, &entered, table.resolve(path(&to))).await {
        Ok(endpoint) => {
            let mut answer = respond::redirect(&to);
            let name = format!(
                "portico-seen-{}-{:016x}",
                asked.state.gatekeeper.names().mark(),
                endpoint.id.0
            );
            respond::set_cookie(&mut answer, &asked.cookie(&name, "1", &endpoint.prefix, REMEMBERED));
            entered.finish(answer)
        }
        Err(refusal) => entered.finish(asked.refuse(&refusal)),
    }
}

/// Who asks, and for which path on this origin; or the answer instead.
async fn enter(asked: &Asked, to: Option<&str>) -> Result<(Entered, String), Response<Body>> {
    let to = return_to(to, &asked.state.site);
    let entered = asked.enter().await.map_err(|refusal| asked.refuse(&refusal))?;
    if entered.user().is_none() {
        // The endpoint itself knows whether a log-in is needed.
        return Err(entered.finish(respond::redirect(&to)));
    }
    Ok((entered, to))
}

/// The endpoint, if the visitor may open it; nobody else learns its name here.
async fn endpoint<'t>(asked: &Asked, entered: &Entered, resolved: Resolved<'t>) -> Result<&'t Endpoint, Refusal> {
    let sight = match (entered.user(), resolved.task()) {
        (Some(user), Some(task)) => asked.state.gatekeeper.sight(user, task).await,
        _ => Sight::Unasked,
    };
    match (decide(entered.principal(), &resolved, sight), resolved) {
        (Decision::Allow, Resolved::Endpoint(endpoint)) => Ok(endpoint),
        (Decision::Refuse(refusal), _) => Err(refusal),
        _ => Err(Refusal::NotFound),
    }
}

fn path(to: &str) -> &str {
    to.split(['?', '#']).next().unwrap_or_default()
}
