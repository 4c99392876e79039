//! The log-in form, on the console's origin or, where there is none, on the applications'.

use axum::{
    Extension,
    body::Body,
    http::{Response, StatusCode, header},
};
use portico_auth::{
    check::looks_like_key,
    log_in::{Attempt, OpenedSession},
    return_to::return_to,
};
use portico_core::{foreign_text, refusal::Refusal, secret::Secret};
use serde::Deserialize;

use crate::{
    asked::Asked,
    fields::Fields,
    form::Token,
    hand_over,
    pages::{LogInPage, Notice},
    place::Place,
    respond,
    wish::Wish,
};

/// What is shown again of a user name, in characters.
const NAME_MAX: usize = 256;

/// Longer challenges are none, in characters.
const CHALLENGE_MAX: usize = 64;

/// The form, as it is sent off.
#[derive(Default, Deserialize)]
pub(crate) struct Typed {
    #[serde(default)]
    user: String,
    #[serde(default)]
    password: Secret,
    #[serde(default)]
    token: String,
    #[serde(flatten)]
    wish: Wish,
}

/// `GET /login`: the form, unless the visitor is known already.
pub(crate) async fn show(Extension(asked): Extension<Asked>, Fields(wish): Fields<Wish>) -> Response<Body> {
    if let (Place::Gateway, Some(console)) = (asked.place, &asked.state.site.console) {
        return hand_over::begin(&asked, console, wish.return_to.as_deref(), false);
    }
    let entered = match asked.enter().await {
        Ok(entered) => entered,
        // A cookie that cannot be judged now is no reason to hide the form; what is typed into it will be.
        Err(Refusal::ClearmlAway) => return form(&asked, &wish, "", Some(&Refusal::ClearmlAway)),
        Err(refusal) => return asked.refuse(&refusal),
    };
    let Some(user) = entered.user() else {
        return entered.finish(form(&asked, &wish, "", None));
    };
    let wanted = wish.return_to.as_deref();
    match (wish.challenge(), entered.session()) {
        (None, _) => entered.finish(respond::redirect(&asked.back(wanted))),
        (Some(challenge), Some(session)) => entered.finish(hand_over::send(&asked, session, challenge, &wish)),
        (Some(_), None) => match asked.state.log_in.adopt(user, asked.visitor.address).await {
            // Its cookie takes the place of one that may be there, and be no good.
            Ok(opened) => enter(&asked, opened, &wish),
            Err(refusal) => entered.finish(form(&asked, &wish, "", Some(&refusal))),
        },
    }
}

/// `POST /login`: asks ClearML, opens a session, leads on.
pub(crate) async fn submit(Extension(asked): Extension<Asked>, Fields(typed): Fields<Typed>) -> Response<Body> {
    if asked.place == Place::Gateway && asked.state.site.console.is_some() {
        return respond::redirect(asked.place.log_in());
    }
    let Typed {
        user,
        password,
        token,
        wish,
    } = typed;
    let user = user.trim();
    if !Token::is_right(&token, &asked.headers, asked.state.gatekeeper.names()) {
        return form(&asked, &wish, user, Some(&Refusal::HandOverInvalid));
    }
    let attempt = Attempt {
        account: user.to_owned(),
        secret: password,
        address: asked.visitor.address,
    };
    match asked.state.log_in.attempt(&attempt).await {
        Ok(opened) => enter(&asked, opened, &wish),
        Err(refusal) => form(&asked, &wish, user, Some(&refusal)),
    }
}

/// Gives the session to the browser and leads on.
fn enter(asked: &Asked, opened: OpenedSession, wish: &Wish) -> Response<Body> {
    let mut answer = match wish.challenge() {
        Some(challenge) => hand_over::send(asked, &opened.session, challenge, wish),
        None => respond::redirect(&hand_over::check_url(asked, wish.return_to.as_deref())),
    };
    answer.headers_mut().append(header::SET_COOKIE, opened.set_cookie);
    answer
}

/// The form, and why it is shown (again).
fn form(asked: &Asked, wish: &Wish, user: &str, refusal: Option<&Refusal>) -> Response<Body> {
    let site = &asked.state.site;
    let token = Token::next(&asked.headers, asked.state.gatekeeper.names());
    let web_url = asked.state.web_url.as_deref().map(|web| web.trim_end_matches('/'));
    let page = LogInPage {
        frame: asked.frame(),
        action: asked.place.log_in(),
        token: token.0.clone(),
        challenge: foreign_text::plain(wish.challenge().unwrap_or_default(), CHALLENGE_MAX),
        return_to: return_to(wish.return_to.as_deref(), site),
        is_again: wish.is_again(),
        user: foreign_text::plain(user, NAME_MAX),
        notice: refusal.map(|refusal| notice(refusal, user)),
        is_rejected: refusal == Some(&Refusal::LogInFailed),
        key_url: web_url.map(|web| format!("{web}/settings/workspace-configuration")),
        is_shared: site.console.is_none(),
    };
    let status = refusal.map_or(StatusCode::OK, Refusal::status);
    let mut answer = respond::page(site, status, &page);
    if let Some(seconds) = refusal.and_then(Refusal::retry_after) {
        answer.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    respond::set_cookie(&mut answer, &token.cookie(asked));
    answer
}

/// What went wrong, in the words of somebody who looks at the form.
fn notice(refusal: &Refusal, user: &str) -> Notice {
    let (title, text) = match refusal {
        Refusal::LogInFailed if looks_like_key(user) => (
            "ClearML does not know this API key and secret".into(),
            "Check both, or create a new pair in ClearML. Deleted keys stop working at once.".into(),
        ),
        Refusal::HandOverInvalid => (
            "This form was open for too long".into(),
            "Please log in once more; your browser must accept cookies from this address.".into(),
        ),
        Refusal::ClearmlAway => (
            refusal.title(),
            "Nobody can log in until it answers again. What you have open goes on.".into(),
        ),
        _ => (refusal.title(), refusal.hint()),
    };
    Notice {
        kind: "bad",
        title,
        text,
    }
}
