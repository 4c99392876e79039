//! Where a TCP endpoint leads to. The public address overwrites the task's own one in place, scripts write over both, and nothing
//! tells who wrote what: this is the one function that makes sense of it (observed with clearml-session 0.17.0 and the SDK's sources).

use std::net::{IpAddr, SocketAddr};

use super::{StreamPolicy, address};
use crate::{
    dial::{DialRules, Undialable},
    observe::{Ask, StreamClaims},
    ports::{Lease, Upstream},
    refusal::Refusal,
};

/// Where a TCP endpoint leads to, as far as its task and its lease tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// What the lease should remember.
    pub upstream: Upstream,
    /// The public port that stands in the task, and that no lease tells to be another's: a hint.
    pub hint: Option<u16>,
    /// True if nothing but the values beside `hint` tells where the endpoint leads to.
    pub rests_on_hint: bool,
    /// True if the task names its own address now; false if that is remembered or unknown.
    is_told: bool,
    /// The address beside which somebody wrote another port than the task's own: a gateway's, unless it is the task's own.
    published: Option<IpAddr>,
    /// Where the task may be found if its source does not know it.
    guesses: [Option<IpAddr>; 3],
}

/// Makes sense of what a task asks, given the lease of this very endpoint.
///
/// # Errors
/// Another gateway's address stands in the task, or its SSH server is not up yet.
pub fn target(ask: &Ask, lease: Option<&Lease>, policy: &StreamPolicy) -> Result<Target, Refusal> {
    let claims = &ask.stream;
    let session = claims.session.as_ref();
    let is_own = claims.host.as_deref().is_some_and(|host| policy.is_own(host));
    let mut target = Target {
        upstream: Upstream {
            claimed: ask.claimed,
            earlier: None,
            port: ask.port,
        },
        hint: None,
        rests_on_hint: false,
        is_told: ask.claimed.is_some(),
        published: None,
        guesses: [session.and_then(|session| session.address), None, None],
    };
    if is_own || is_published(claims, lease) {
        target.read_own_values(ask, lease, policy);
    } else if let Some(host) = &claims.host {
        let is_published = claims.upstream_port.is_some() && claims.upstream_port != claims.port;
        match address(host) {
            None => target.upstream.port = claims.noted_port.ok_or_else(|| other_gateway(host))?,
            found => target.published = found.filter(|_| is_published && claims.noted_port.is_none()),
        }
    }
    // The announced port is a proxy's that one connection without SSH breaks for good.
    if let Some(session) = session.filter(|session| session.is_kept_alive) {
        target.upstream.port = session.ssh_port.ok_or(Refusal::Starting)?;
    }
    Ok(target)
}

/// True if the ports that stand in the task are those that were published for this very endpoint, whatever host stands beside them:
/// the public host is another one since then, or another gateway took ours away. Whoever may edit the task may write our host there
/// too, and comes to the same: the endpoint leads where it led.
///
/// What is told beside these values comes to be remembered while they still stand there: it must not decide what they mean, or they
/// would mean something else as soon as it is remembered.
fn is_published(claims: &StreamClaims, lease: Option<&Lease>) -> bool {
    let Some((lease, upstream)) = lease.and_then(|lease| Some((lease, lease.upstream?))) else {
        return false;
    };
    // What is noted leads there whatever else stands in the task.
    if claims.noted_port.is_some() {
        return false;
    }
    let is_leased = |port: u16| port == lease.port || lease.former == Some(port);
    let is_kept_alive = claims.session.as_ref().is_some_and(|session| session.is_kept_alive);
    let is_remembered = |port: u16| is_kept_alive || port == upstream.port;
    // An address may be the task's own; then two ports that differ tell that the first is a public one. A name is a gateway's.
    let is_name = claims.host.as_deref().is_some_and(|host| address(host).is_none());
    claims.port.is_some_and(is_leased)
        && claims.upstream_port.is_some_and(is_remembered)
        && (is_name || claims.port != claims.upstream_port)
}

fn other_gateway(address: &str) -> Refusal {
    Refusal::OtherGateway {
        address: crate::foreign_text::cut(address).into(),
    }
}

impl Target {
    /// Our own values stand in the task: we wrote them, or a script took our host over and wrote a fresh port beside it.
    fn read_own_values(&mut self, ask: &Ask, lease: Option<&Lease>, policy: &StreamPolicy) {
        let claims = &ask.stream;
        let is_public = |port: &u16| {
            policy.range.contains(*port)
                || lease.is_some_and(|lease| lease.port == *port || lease.former == Some(*port))
        };
        let public = claims.port.filter(is_public);
        let remembered = lease.and_then(|lease| lease.upstream);
        self.is_told = false;
        self.guesses[2] = address(&policy.host);
        self.hint = public.filter(|port| policy.range.contains(*port));
        let earlier = remembered.and_then(|upstream| upstream.claimed.or(upstream.earlier));
        self.upstream = match (claims.noted_port, public, remembered) {
            (Some(port), _, Some(remembered)) => Upstream { port, ..remembered },
            (None, Some(_), Some(remembered)) => remembered,
            (None, Some(public), None) => {
                self.rests_on_hint = true;
                Upstream {
                    claimed: None,
                    earlier: None,
                    port: claims.upstream_port.unwrap_or(public),
                }
            }
            // A fresh port: what stands beside it is from an earlier run, maybe on another machine.
            (_, None, _) | (Some(_), _, None) => Upstream {
                claimed: None,
                earlier,
                port: claims.noted_port.unwrap_or(ask.port),
            },
        };
        self.guesses[1] = self.upstream.earlier;
    }

    /// The address to dial.
    ///
    /// # Errors
    /// Why there is none.
    pub fn judge(&self, dial: &DialRules, known: &[IpAddr]) -> Result<SocketAddr, Refusal> {
        let judge = |claimed| dial.judge(claimed, self.upstream.port, known);
        if let Some(published) = self.published
            && matches!(judge(Some(published)), Err((_, Undialable::NotVouchedFor)))
        {
            return Err(other_gateway(&published.to_string()));
        }
        let found = match self.upstream.claimed {
            Some(claimed) if self.is_told => judge(Some(claimed)),
            Some(claimed) => judge(Some(claimed)).or_else(|_| self.guess(dial, known)),
            None => self.guess(dial, known),
        };
        found.map_err(|(address, why)| Refusal::AddressRefused { address, why })
    }

    fn guess(&self, dial: &DialRules, known: &[IpAddr]) -> Result<SocketAddr, (Option<IpAddr>, Undialable)> {
        let judge = |claimed| dial.judge(claimed, self.upstream.port, known);
        let is_known = |guess: &&IpAddr| known.iter().any(|known| known.to_canonical() == guess.to_canonical());
        match (known, self.guesses.iter().flatten().find(is_known)) {
            (_, Some(guess)) => judge(Some(*guess)),
            ([], None) => {
                let mut guesses = self.guesses.iter().flatten();
                guesses
                    .find_map(|guess| judge(Some(*guess)).ok())
                    .map_or_else(|| judge(self.guesses[0]), Ok)
            }
            _ => judge(None),
        }
    }
}
