//! Who is signed in at an address? For connections that carry no credential, only an address.

use std::{net::IpAddr, sync::Arc, time::Duration};

use portico_core::principal::{Principal, User};

use super::{Gatekeeper, memory::sealed_user};
use crate::{client_address::is_trusted, session::Session};

/// ClearML does not tell when somebody logs out there: such a log-in counts for this long after its last use.
const UNTOLD: Duration = Duration::from_hours(1);

impl Gatekeeper {
    /// Notes that somebody's log-in, as [`Gatekeeper::identify`] told of both, was used from `address`
    /// ([`crate::client_address::client_address`]). Cheap enough for each request.
    ///
    /// Nothing is noted unless the request `is_own_doing` ([`crate::foreign::is_own_doing`]): a foreign page could sign a
    /// visitor in wherever the visitor happens to be. Counts a session, and a log-in at ClearML; not what programs send
    /// in headers, which nobody can log out. Not noted is a trusted proxy's own address, which is everybody's.
    pub fn note(&self, principal: &Principal, session: Option<&Session>, address: IpAddr, is_own_doing: bool) {
        if let (Principal::User(user), true) = (principal, is_own_doing) {
            self.came(user, session, address);
        }
    }

    /// Notes from where somebody has just logged in: no foreign page knows what has to be typed.
    pub(crate) fn note_log_in(&self, session: &Session, address: IpAddr) {
        let user = User {
            // The rights that count are those that ClearML tells when somebody is to be let in.
            is_administrator: session.is_administrator,
            ..sealed_user(session)
        };
        self.came(&Arc::new(user), Some(session), address);
    }

    fn came(&self, user: &Arc<User>, session: Option<&Session>, address: IpAddr) {
        let inner = &*self.0;
        if !user.method.is_ambient() || is_trusted(address, &inner.trusted_proxies) {
            return;
        }
        let now = inner.clock.now();
        let idle_end = match session {
            Some(session) => session.idle_end,
            None => now.plus(inner.sessions.settings().idle.min(UNTOLD)),
        };
        inner.addresses.note(address, user, idle_end, now);
    }

    /// Whose log-ins were noted at this address and are neither over nor revoked, the last used in front. Some users
    /// may stand there several times, with a log-in each.
    ///
    /// What ClearML thinks of them now is another question: before one of them is let in, [`Gatekeeper::current`] has
    /// to answer it, and the rights that count are those in its answer.
    pub fn signed_in_from(&self, address: IpAddr) -> Vec<Arc<User>> {
        let inner = &*self.0;
        let revoked = inner.revocations.get();
        let is_revoked = |user: &User| {
            let session = user.session.as_ref();
            session.is_some_and(|session| revoked.is_revoked(session, &user.id))
        };
        let mut users = inner.addresses.users(address, inner.clock.now());
        users.retain(|user| !is_revoked(user));
        users
    }

    /// How many addresses are remembered from which somebody came who is signed in.
    pub fn addresses_remembered(&self) -> usize {
        self.0.addresses.len()
    }
}
