//! Log-out. Where there is a console, it is asked and done there, out of reach of the applications' scripts; the other origin's
//! cookie is cleared on the way.

use axum::{
    Extension,
    body::Body,
    http::{HeaderMap, HeaderValue, Response, StatusCode, header},
};
use portico_auth::credentials;
use portico_core::principal::Method;

use crate::{
    asked::{Asked, Entered},
    listing::cut,
    pages::{LogOutPage, LoggedOutPage},
    place::Place,
    respond,
};

/// `GET /logout`: asks.
pub(crate) async fn ask(Extension(asked): Extension<Asked>) -> Response<Body> {
    if let Some(console) = elsewhere(&asked) {
        return respond::redirect(&console);
    }
    let entered = match asked.enter().await {
        Ok(entered) => entered,
        Err(refusal) => return asked.refuse(&refusal),
    };
    let Some(user) = entered.user() else {
        return entered.finish(respond::redirect(logged_out(asked.place)));
    };
    let mut frame = asked.frame();
    frame.visitor = Some(cut(&user.name));
    let page = LogOutPage {
        frame,
        action: asked.place.log_out(),
        is_clearml: user.method == Method::ClearmlCookie && session_alone(&asked).await.is_none(),
        clearml_url: asked.state.web_url.as_deref().map(str::to_owned),
    };
    entered.finish(respond::page(&asked.state.site, StatusCode::OK, &page))
}

/// `POST /logout`: ends the session everywhere.
pub(crate) async fn end(Extension(asked): Extension<Asked>) -> Response<Body> {
    if let Some(console) = elsewhere(&asked) {
        return respond::redirect(&console);
    }
    let state = &asked.state;
    let entered = session_alone(&asked).await;
    let session = entered.as_ref().and_then(Entered::session);
    let cleared = state.log_in.log_out(session, asked.visitor.address).await;
    let to = match asked.place {
        Place::Console => format!("{}{}", state.site.router, logged_out(Place::Gateway)),
        Place::Gateway => logged_out(Place::Gateway).to_owned(),
    };
    let mut answer = respond::redirect(&to);
    answer.headers_mut().append(header::SET_COOKIE, cleared);
    answer
}

/// `GET /logged-out`: says so, and clears this origin's cookie of a session that is over.
pub(crate) async fn done(Extension(asked): Extension<Asked>) -> Response<Body> {
    let entered = match asked.enter().await {
        Ok(entered) => entered,
        Err(refusal) => return asked.refuse(&refusal),
    };
    if entered.session().is_some() {
        // Somebody followed a link here; nothing ended.
        return entered.finish(respond::redirect(&asked.home()));
    }
    let page = LoggedOutPage {
        frame: asked.frame(),
        log_in: asked.place.log_in(),
        is_clearml: entered.user().is_some(),
    };
    entered.finish(respond::page(&asked.state.site, StatusCode::OK, &page))
}

fn logged_out(place: Place) -> &'static str {
    match place {
        Place::Gateway => "/_gateway/logged-out",
        Place::Console => "/logged-out",
    }
}

/// The console's page, for the other origin.
fn elsewhere(asked: &Asked) -> Option<String> {
    let console = asked.state.site.console.as_ref()?;
    (asked.place == Place::Gateway).then(|| format!("{console}{}", Place::Console.log_out()))
}

/// Who asks by our cookie, whatever else the request carries: ClearML's cookie comes first, but only ours can be ended here.
async fn session_alone(asked: &Asked) -> Option<Entered> {
    let names = asked.state.gatekeeper.names();
    let mut headers = HeaderMap::new();
    for sealed in credentials::read(&asked.headers, names).sessions {
        let mut cookie = HeaderValue::from_str(&format!("{}={}", names.session(), sealed.reveal())).ok()?;
        cookie.set_sensitive(true);
        headers.append(header::COOKIE, cookie);
    }
    let mut alone = asked.clone();
    alone.headers = headers;
    let entered = alone.enter().await.ok()?;
    entered.session().is_some().then_some(entered)
}
