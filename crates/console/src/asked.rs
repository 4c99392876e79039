//! One request to a page, and what is true of it before any page is asked: it names our host, and a form came from our own page.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Request, State as From},
    http::{HeaderMap, Method, Response, header},
    middleware::Next,
};
use portico_auth::{foreign, gatekeeper::Identified, return_to::return_to, session::Session};
use portico_core::{
    page::Context,
    principal::{Principal, User},
    refusal::Refusal,
};

use crate::{
    pages::Frame,
    place::{Place, is_host_of},
    respond,
    state::{State, Visitor},
};

/// A request that passed [`guard`].
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) state: Arc<State>,
    pub(crate) place: Place,
    pub(crate) visitor: Visitor,
    pub(crate) headers: HeaderMap,
    host: String,
}

impl Asked {
    /// Answers with a refusal.
    pub(crate) fn refuse(&self, refusal: &Refusal) -> Response<Body> {
        respond::refusal(refusal, &self.headers, &self.context())
    }

    /// What all pages have in common.
    pub(crate) fn frame(&self) -> Frame {
        Frame::new(self.home(), self.place.log_out(), self.state.site.name.clone())
    }

    /// The list of endpoints.
    pub(crate) fn home(&self) -> String {
        self.place.home(&self.state.site)
    }

    /// Who asks. It is noted from where, for endpoints that are open to addresses at which somebody is logged in.
    pub(crate) async fn enter(&self) -> Result<Entered, Refusal> {
        let gatekeeper = &self.state.gatekeeper;
        let identified = gatekeeper.identify(&self.headers).await?;
        let site = &self.state.site;
        gatekeeper.note(
            &identified.principal,
            identified.session.as_deref(),
            self.visitor.address,
            foreign::is_own_doing(&self.headers, self.place.origin(site), &site.extra_hosts),
        );
        Ok(Entered(identified))
    }

    /// Where the visitor goes on this origin, if `wanted` is a good address.
    pub(crate) fn back(&self, wanted: Option<&str>) -> String {
        match self.place {
            Place::Gateway => return_to(wanted, &self.state.site),
            Place::Console => "/".into(),
        }
    }

    /// The name by which the request calls this origin: the configured one, without a default port, if it is that.
    pub(crate) fn host(&self) -> &str {
        if self.is_canonical() {
            self.place.origin(&self.state.site).authority()
        } else {
            &self.host
        }
    }

    /// True if the request calls this origin by its configured name.
    pub(crate) fn is_canonical(&self) -> bool {
        is_host_of(self.place.origin(&self.state.site), &self.host)
    }

    /// A cookie of ours that lives as long as `lasts` seconds.
    pub(crate) fn cookie(&self, name: &str, value: &str, path: &str, lasts: u32) -> String {
        let secure = if self.state.gatekeeper.names().is_secure() {
            "; Secure"
        } else {
            ""
        };
        format!("{name}={value}; Path={path}; Max-Age={lasts}; HttpOnly; SameSite=Lax{secure}")
    }

    fn context(&self) -> Context {
        Context {
            request_id: self.visitor.request_id.clone(),
            home: Some(self.home()),
            right_url: None,
        }
    }
}

/// Whoever asks, as far as we know.
pub(crate) struct Entered(Identified);

impl Entered {
    /// The user, if anybody.
    pub(crate) fn user(&self) -> Option<&Arc<User>> {
        match &self.0.principal {
            Principal::User(user) => Some(user),
            Principal::Nobody => None,
        }
    }

    /// The same as one value, for decisions.
    pub(crate) fn principal(&self) -> &Principal {
        &self.0.principal
    }

    /// The session, if the user came in by one.
    pub(crate) fn session(&self) -> Option<&Session> {
        self.0.session.as_deref()
    }

    /// Adds the cookies that were renewed or cleared on the way.
    pub(crate) fn finish(&self, mut answer: Response<Body>) -> Response<Body> {
        for cookie in &self.0.set_cookies {
            answer.headers_mut().append(header::SET_COOKIE, cookie.clone());
        }
        answer
    }
}

/// Lets a request through to its page as an [`Asked`], or refuses it.
pub(crate) async fn guard(
    From((state, place)): From<(Arc<State>, Place)>,
    mut request: Request,
    next: Next,
) -> Response<Body> {
    let visitor = request.extensions().get::<Visitor>().cloned();
    let is_known = visitor.is_some();
    let mut asked = Asked {
        state,
        place,
        visitor: visitor.unwrap_or_else(Visitor::unknown),
        headers: request.headers().clone(),
        host: String::new(),
    };
    if !is_known {
        tracing::error!("a request came to a page without its visitor");
        return asked.refuse(&Refusal::Internal);
    }
    match host(&asked.headers) {
        Ok(host) => asked.host = host,
        Err(refusal) => return asked.refuse(&refusal),
    }
    let site = &asked.state.site;
    if !place.answers_to(site, &asked.host) {
        let context = Context {
            right_url: Some(format!("{}/", place.origin(site))),
            ..asked.context()
        };
        return respond::refusal(&Refusal::UnknownHost, &asked.headers, &context);
    }
    let is_foreign = match *request.method() {
        Method::GET | Method::HEAD => foreign::is_foreign(&foreign::Asked {
            method: request.method(),
            headers: &asked.headers,
            is_upgrade: false,
            own: place.origin(site),
            extra_hosts: &site.extra_hosts,
        }),
        _ => !is_own_form(&asked.headers, place.origin(site).as_str(), &asked.host),
    };
    if is_foreign {
        return asked.refuse(&Refusal::ForeignPage);
    }
    request.extensions_mut().insert(asked);
    next.run(request).await
}

/// The one `Host` of a request.
fn host(headers: &HeaderMap) -> Result<String, Refusal> {
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().map(str::to_owned).map_err(|_| Refusal::BadHost),
        _ => Err(Refusal::BadHost),
    }
}

/// True for a form that a person sent off from one of our own pages. Browsers say where a form comes from; whoever says nothing
/// is no browser, or one too old to be protected.
fn is_own_form(headers: &HeaderMap, origin: &str, host: &str) -> bool {
    let said = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let from = said("origin");
    let site = said("sec-fetch-site");
    let is_from_here = |from: &str| {
        // A further name of ours has no scheme in the configuration.
        let named = from.strip_prefix("https://").or_else(|| from.strip_prefix("http://"));
        from == origin
            || (named.is_some_and(|named| named.eq_ignore_ascii_case(host)) && !origin.ends_with(&format!("//{host}")))
    };
    (from.is_some() || site.is_some())
        && from.is_none_or(is_from_here)
        && site.is_none_or(|site| site == "same-origin")
        && said("sec-fetch-mode").is_none_or(|mode| mode == "navigate")
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        pairs.iter().map(pair).collect()
    }

    fn is_ours(pairs: &[(&'static str, &'static str)]) -> bool {
        is_own_form(&headers(pairs), "https://console.example.com", "console.example.com")
    }

    #[test]
    fn a_form_of_our_own_page_passes() {
        assert!(is_ours(&[("origin", "https://console.example.com")]));
        assert!(is_ours(&[
            ("sec-fetch-site", "same-origin"),
            ("sec-fetch-mode", "navigate")
        ]));
        let by_another_name = headers(&[("origin", "http://10.0.0.7:8080")]);
        assert!(is_own_form(
            &by_another_name,
            "https://gateway.example.com",
            "10.0.0.7:8080"
        ));
    }

    #[test]
    fn a_form_of_anybody_else_does_not() {
        for pairs in [
            &[][..],
            &[("origin", "null")],
            &[("origin", "https://evil.example.com")],
            &[("origin", "http://console.example.com")],
            &[("origin", "https://console.example.com:444")],
            &[("origin", "https://console.example.com.evil.com")],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "none")],
            &[
                ("origin", "https://console.example.com"),
                ("sec-fetch-site", "cross-site"),
            ],
            &[
                ("origin", "https://console.example.com"),
                ("sec-fetch-site", "same-origin"),
                ("sec-fetch-mode", "cors"),
            ],
        ] {
            assert!(!is_ours(pairs), "{pairs:?}");
        }
    }
}
