//! From the origin where people log in to the origin where the applications are: a sealed code in a URL, worth
//! something once, for half a minute, and only in the browser that asked for it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http::{HeaderMap, HeaderValue};
use portico_core::{
    clock::{Clock, Timestamp},
    endpoint::hex,
    live::Live,
    refusal::Refusal,
};
use serde::{Deserialize, Serialize};

use crate::{
    credentials::{self, CookieNames},
    digest,
    keys::SessionKeys,
    random, seal,
    session::{self, Session},
};

/// How long a code is worth something.
const CODE_LASTS: Duration = Duration::from_secs(30);
/// How long somebody may take to log in.
const NONCE_LASTS: Duration = Duration::from_mins(15);
/// More used codes than this within their half minute: further ones are refused, not forgotten.
const USED_MAX: usize = 10_000;

/// Hands sessions over.
#[derive(Clone)]
pub struct HandOver {
    keys: Live<SessionKeys>,
    names: Arc<CookieNames>,
    clock: Arc<dyn Clock>,
    purpose: Arc<str>,
    used: Arc<Mutex<HashMap<String, Timestamp>>>,
}

/// What ties a hand-over to one browser.
#[derive(Clone, Debug)]
pub struct Nonce {
    /// Goes to the log-in with the visitor; tells nothing.
    pub hash: String,
    /// Goes to the browser, on the applications' origin.
    pub set_cookie: HeaderValue,
}

/// The short names are those inside the code.
#[derive(Serialize, Deserialize)]
struct Code {
    #[serde(rename = "i")]
    id: String,
    #[serde(rename = "h")]
    host: String,
    #[serde(rename = "n")]
    nonce: String,
    #[serde(rename = "e")]
    ends: Timestamp,
    #[serde(rename = "s")]
    session: Session,
}

impl HandOver {
    /// For one gateway. `keys` are those of [`crate::keys`].
    pub fn new(keys: Live<SessionKeys>, names: Arc<CookieNames>, clock: Arc<dyn Clock>) -> Self {
        let purpose = format!("hand-over {}", names.mark()).into();
        Self {
            keys,
            names,
            clock,
            purpose,
            used: Arc::default(),
        }
    }

    /// Begins, on the applications' origin. A browser that began before keeps its nonce, so that several tabs can log
    /// in at once.
    pub fn begin(&self, headers: &HeaderMap) -> Nonce {
        let value = self.nonce(headers).map_or_else(random::token, str::to_owned);
        let cookie = session::cookie(&self.names, self.names.nonce(), &value, NONCE_LASTS);
        Nonce {
            hash: hash(&value),
            set_cookie: session::secret_value(&cookie).unwrap_or_else(|| HeaderValue::from_static("")),
        }
    }

    /// Makes the code, on the log-in's origin: `session` for the applications' `host` (as in its `Host` header), for
    /// the browser whose nonce has this hash. `None` if the hash is none.
    pub fn code(&self, session: &Session, host: &str, nonce_hash: &str) -> Option<String> {
        if nonce_hash.len() != 64 || !nonce_hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let now = self.clock.now();
        let code = Code {
            id: random::token(),
            host: host.to_ascii_lowercase(),
            nonce: nonce_hash.to_ascii_lowercase(),
            ends: now.plus(CODE_LASTS),
            session: session.clone(),
        };
        let plain = serde_json::to_vec(&code).ok()?;
        let sealed = seal::seal(&self.keys.get(), now, &self.purpose, plain)?;
        Some(sealed.reveal().to_owned())
    }

    /// Takes the code, on the applications' origin, at `host`. Refuses with [`Refusal::HandOverInvalid`] whatever is
    /// wrong.
    pub fn redeem(&self, code: &str, host: &str, headers: &HeaderMap) -> Result<Session, Refusal> {
        self.opened(code, host, headers).ok_or(Refusal::HandOverInvalid)
    }

    /// The `Set-Cookie` header that takes the nonce from a browser.
    pub fn clear_nonce(&self) -> HeaderValue {
        let cookie = session::cookie(&self.names, self.names.nonce(), "", Duration::ZERO);
        session::secret_value(&cookie).unwrap_or_else(|| HeaderValue::from_static(""))
    }

    fn opened(&self, code: &str, host: &str, headers: &HeaderMap) -> Option<Session> {
        let now = self.clock.now();
        let opened = seal::open(&self.keys.get(), &self.purpose, code)?;
        let code: Code = serde_json::from_slice(&opened.plain).ok()?;
        let nonce = self.nonce(headers)?;
        let is_same_browser =
            aws_lc_rs::constant_time::verify_slices_are_equal(hash(nonce).as_bytes(), code.nonce.as_bytes()).is_ok();
        let is_good = is_same_browser
            && now < code.ends
            && code.host == host.to_ascii_lowercase()
            && !code.session.is_over(now)
            && self.use_up(code.id, code.ends, now);
        is_good.then_some(code.session)
    }

    /// True the first time.
    fn use_up(&self, id: String, ends: Timestamp, now: Timestamp) -> bool {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if used.len() >= USED_MAX {
            used.retain(|_, ends| now < *ends);
        }
        used.len() < USED_MAX && used.insert(id, ends).is_none()
    }

    fn nonce<'h>(&self, headers: &'h HeaderMap) -> Option<&'h str> {
        credentials::cookie(headers, self.names.nonce())
            .filter(|nonce| nonce.len() == 32 && nonce.bytes().all(|byte| byte.is_ascii_hexdigit()))
    }
}

fn hash(nonce: &str) -> String {
    hex(&digest::of(&[b"portico nonce", nonce.as_bytes()]).0)
}
