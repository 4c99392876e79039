//! The way of a session from the console's origin to the applications' origin, and the proof that the browser kept it.
//!
//! `/_gateway/login` sets a nonce and leads to the console's log-in; that leads to `/_gateway/callback` with a sealed code, which becomes
//! this origin's session cookie; `/_gateway/check` sees whether the cookie comes back, and leads to where the visitor wanted to go.

use axum::{
    Extension,
    body::Body,
    http::{Response, header},
};
use portico_auth::{return_to::return_to, session::Session};
use portico_core::{
    refusal::Refusal,
    secret::Secret,
    site::{Origin, percent},
};
use serde::Deserialize;

use crate::{asked::Asked, fields::Fields, place::Place, respond, wish};

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Wish {
    #[serde(default)]
    code: Secret,
    return_to: Option<String>,
    /// Present on the second attempt.
    again: Option<String>,
}

/// Begins on the applications' origin: leads to the log-in at `console`. `is_again` after an attempt that failed, so that there is no
/// third one: a browser without cookies would go in circles.
pub(crate) fn begin(asked: &Asked, console: &Origin, wanted: Option<&str>, is_again: bool) -> Response<Body> {
    let site = &asked.state.site;
    let wanted = return_to(wanted, site);
    if !asked.is_canonical() {
        // The console leads back to the one true name, where a cookie of another name does not arrive.
        let log_in = Place::Gateway.log_in();
        return respond::redirect(&format!("{}{log_in}?return_to={}", site.router, percent(&wanted)));
    }
    let nonce = asked.state.hand_over.begin(&asked.headers);
    let again = if is_again { "&again=1" } else { "" };
    let form = Place::Console.log_in();
    let to = format!(
        "{console}{form}?challenge={}&return_to={}{again}",
        nonce.hash,
        percent(&wanted)
    );
    let mut answer = respond::redirect(&to);
    answer.headers_mut().append(header::SET_COOKIE, nonce.set_cookie);
    answer
}

/// Sends a session over, from the console's origin.
pub(crate) fn send(asked: &Asked, session: &Session, challenge: &str, wish: &wish::Wish) -> Response<Body> {
    let site = &asked.state.site;
    let Some(code) = asked.state.hand_over.code(session, site.router.authority(), challenge) else {
        return asked.refuse(&Refusal::HandOverInvalid);
    };
    let wanted = return_to(wish.return_to.as_deref(), site);
    let again = if wish.is_again() { "&again=1" } else { "" };
    respond::redirect(&format!(
        "{}/_gateway/callback?code={code}&return_to={}{again}",
        site.router,
        percent(&wanted)
    ))
}

/// `GET /_gateway/callback`: takes the code.
pub(crate) async fn callback(Extension(asked): Extension<Asked>, Fields(wish): Fields<Wish>) -> Response<Body> {
    let wanted = wish.return_to.as_deref();
    let opened = asked
        .state
        .hand_over
        .redeem(wish.code.reveal(), asked.host(), &asked.headers)
        .and_then(|session| {
            asked
                .state
                .gatekeeper
                .sessions()
                .set_cookie(&session)
                .ok_or(Refusal::Internal)
        });
    let cookie = match opened {
        Ok(cookie) => cookie,
        Err(refusal) => {
            // The way back in the browser's history leads here too, long after.
            let is_in = asked.enter().await.is_ok_and(|entered| entered.user().is_some());
            return match &asked.state.site.console {
                _ if is_in => respond::redirect(&asked.back(wanted)),
                // The form lay open for longer than the nonce lasts; by now there is a session at the console.
                Some(console) if wish.again.is_none() => begin(&asked, console, wanted, true),
                _ => asked.refuse(&refusal),
            };
        }
    };
    let mut answer = respond::redirect(&check_url(&asked, wanted));
    answer.headers_mut().append(header::SET_COOKIE, cookie);
    answer
        .headers_mut()
        .append(header::SET_COOKIE, asked.state.hand_over.clear_nonce());
    answer
}

/// `GET /check`: the cookie came back, or a refusal says which setting to look at.
pub(crate) async fn check(Extension(asked): Extension<Asked>, Fields(wish): Fields<Wish>) -> Response<Body> {
    let entered = match asked.enter().await {
        Ok(entered) => entered,
        Err(refusal) => return asked.refuse(&refusal),
    };
    if entered.user().is_some() {
        return entered.finish(respond::redirect(&asked.back(wish.return_to.as_deref())));
    }
    let origin = asked.place.origin(&asked.state.site);
    let is_secure_over_http = asked.state.gatekeeper.names().is_secure() && !origin.is_secure();
    entered.finish(asked.refuse(&Refusal::CookieLost { is_secure_over_http }))
}

/// Where `check` is on this origin.
pub(crate) fn check_url(asked: &Asked, wanted: Option<&str>) -> String {
    let path = match asked.place {
        Place::Gateway => "/_gateway/check",
        Place::Console => "/check",
    };
    format!("{path}?return_to={}", percent(&asked.back(wanted)))
}
