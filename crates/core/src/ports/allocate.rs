//! Who gets which public port. Pure: leases go in, leases come out. What tasks claim about ports is a hint and never more: any
//! colleague may edit any task.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use super::{Lease, Leases, Upstream};
use crate::{
    clock::Timestamp,
    endpoint::{EndpointKey, TaskId},
    port_range::PortRange,
    refusal::Refusal,
};

/// The most ports that are kept for one task: those that it has, those that cool down, and those that it left a short time ago.
const PORTS_MAX: usize = crate::notation::ENTRIES_MAX;

/// Which endpoints name a port.
type Named<'w> = HashMap<u16, Vec<&'w EndpointKey>>;

/// An endpoint that should have a public port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Which endpoint.
    pub key: EndpointKey,
    /// The port that its task names as its public one: the one that it had, or somebody's claim to a port of another.
    pub hint: Option<u16>,
    /// True if nothing but the values beside `hint` tells where the endpoint leads to.
    pub rests_on_hint: bool,
    /// The one port that will do.
    pub fixed: Option<u16>,
    /// Where it leads to, to be remembered.
    pub upstream: Upstream,
}

/// By what ports are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The ports that there are.
    pub range: PortRange,
    /// How long a port is kept for an endpoint that went.
    pub cooling: Duration,
}

/// Who holds which port, and who got none and why. What the route table is built with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortBook {
    /// The leases, those that cool down included. The same `Arc` as before if nothing changed.
    pub leases: Arc<Leases>,
    /// Endpoints without a port.
    pub refused: BTreeMap<EndpointKey, Refusal>,
}

impl PortBook {
    /// The public port of an endpoint.
    pub(crate) fn port(&self, key: &EndpointKey) -> Result<u16, Refusal> {
        if let Some(refusal) = self.refused.get(key) {
            return Err(refusal.clone());
        }
        let held = self.leases.of(key).filter(|lease| lease.cooling_until.is_none());
        held.map(|lease| lease.port).ok_or(Refusal::PortPending)
    }

    /// The endpoints whose port, or the lack of it, is another than in `older`.
    pub(crate) fn differing<'b>(&'b self, older: &'b Self) -> impl Iterator<Item = &'b EndpointKey> {
        let is_same = Arc::ptr_eq(&self.leases, &older.leases);
        let leases = (!is_same).then_some([(&self.leases, &older.leases), (&older.leases, &self.leases)]);
        let leases = leases.into_iter().flatten().flat_map(|(one, other)| {
            let differing = |lease: &&Lease| other.of(&lease.key) != Some(*lease);
            one.iter().filter(differing).map(|lease| &lease.key)
        });
        let refused = [(&self.refused, &older.refused), (&older.refused, &self.refused)];
        let refused = refused.into_iter().flat_map(|(one, other)| {
            let differing = |(key, refusal): &(&EndpointKey, &Refusal)| other.get(*key) != Some(*refusal);
            one.iter().filter(differing).map(|(key, _)| key)
        });
        leases.chain(refused)
    }
}

/// The leases for these wishes, given the leases so far.
///
/// * A lease is never displaced by another endpoint's wish. It ends a cooling time after its wish; until then the same endpoint gets
///   the same port back.
/// * A lease whose port is `blocked` (somebody else listens there) or outside of the range moves to another port, and so does one
///   whose endpoint wants a fixed port now; nobody gets the old port for a cooling time.
/// * A port that nobody holds and endpoints of several tasks name is given to nobody for a cooling time: nobody can tell whose it
///   was.
/// * No task exhausts the range, whatever it wishes: it gets no fresh port above 32 that are kept for it, but one that cools for another
///   endpoint of its own; an endpoint that left a port because it wanted to leaves no second one while the first one rests; and
///   what a task names is not listened to while as many ports rest because of such names.
/// * A fixed port that is not to be had is refused, and the endpoint gets no other one.
///
/// To be called with complete observations only: an endpoint that was not observed yet seems to be gone.
pub fn allocate(
    wishes: &[Wish],
    leases: &Arc<Leases>,
    rules: &Rules,
    blocked: &BTreeSet<u16>,
    now: Timestamp,
) -> PortBook {
    let mut round = Round {
        book: PortBook {
            leases: leases.clone(),
            refused: BTreeMap::new(),
        },
        rules,
        blocked,
        now,
    };
    let by_key: BTreeMap<&EndpointKey, &Wish> = wishes.iter().map(|wish| (&wish.key, wish)).collect();
    round.cool(&by_key);
    round.wake();
    let named = round.named(&by_key);
    round.rest(&named);
    let open: Vec<&Wish> = by_key.into_values().filter(|wish| !round.keep(wish)).collect();
    round.give(&open, &named);
    round.book
}

struct Round<'r> {
    book: PortBook,
    rules: &'r Rules,
    blocked: &'r BTreeSet<u16>,
    now: Timestamp,
}

impl Round<'_> {
    /// Lets the leases cool down that nobody wishes for, and ends those that have.
    fn cool(&mut self, wished: &BTreeMap<&EndpointKey, &Wish>) {
        let leases = self.book.leases.clone();
        for lease in leases.iter().filter(|lease| !wished.contains_key(&lease.key)) {
            let latest = self.now.plus(self.rules.cooling);
            // A clock that was set back does not keep a port for years.
            let until = lease.cooling_until.map_or(latest, |until| until.min(latest));
            if until <= self.now {
                self.leases().remove(&lease.key);
            } else if lease.cooling_until != Some(until) {
                self.leases().put(Lease {
                    cooling_until: Some(until),
                    ..lease.clone()
                });
            }
        }
    }

    fn leases(&mut self) -> &mut Leases {
        Arc::make_mut(&mut self.book.leases)
    }

    /// True if the wish is answered by the lease that the endpoint has.
    fn keep(&mut self, wish: &Wish) -> bool {
        let Some(lease) = self.book.leases.of(&wish.key) else {
            return false;
        };
        if !self.is_usable(lease.port) || wish.fixed.is_some_and(|fixed| fixed != lease.port) {
            return false;
        }
        if lease.cooling_until.is_some() || lease.upstream != Some(wish.upstream) {
            let lease = Lease {
                cooling_until: None,
                upstream: Some(wish.upstream),
                ..lease.clone()
            };
            self.leases().put(lease);
        }
        true
    }

    /// Opens the ports again that were closed long enough.
    fn wake(&mut self) {
        let latest = self.now.plus(self.rules.cooling);
        let leases = self.book.leases.clone();
        for (port, before) in leases.resting() {
            let until = Some(*before.min(&latest)).filter(|until| *until > self.now);
            if until != Some(*before) {
                self.leases().rest(*port, until);
            }
        }
    }

    /// The ports that are named, and by whom.
    fn named<'w>(&self, wished: &BTreeMap<&EndpointKey, &'w Wish>) -> Named<'w> {
        let mut named = Named::new();
        let mut deaf: HashMap<TaskId, bool> = HashMap::new();
        for wish in wished.values() {
            let task = wish.key.task;
            let is_deaf = || self.book.leases.contested_by(task) >= PORTS_MAX;
            if let Some(port) = wish.fixed.or(wish.hint)
                && !*deaf.entry(task).or_insert_with(is_deaf)
            {
                named.entry(port).or_default().push(&wish.key);
            }
        }
        named
    }

    /// Closes the ports that several tasks name and nobody holds. A task that names one twice harms itself only.
    fn rest(&mut self, named: &Named<'_>) {
        let latest = self.now.plus(self.rules.cooling);
        let leases = self.book.leases.clone();
        for (port, keys) in named.iter().filter(|(port, _)| self.rules.range.contains(**port)) {
            let tasks: BTreeSet<TaskId> = keys.iter().map(|key| key.task).collect();
            let is_new = leases.holder(*port).is_none() && !leases.resting().contains_key(port);
            if tasks.len() > 1 && is_new && latest > self.now {
                self.leases().close(*port, latest, tasks);
            }
        }
    }

    /// Gives ports to endpoints that have none, or not the right one.
    fn give(&mut self, open: &[&Wish], named: &Named<'_>) {
        let is_named_by = |port: u16, key: &EndpointKey| named.get(&port).is_some_and(|keys| **keys == [key]);
        let too_many = || Refusal::TooManyPorts { most: PORTS_MAX };
        let mut rest = Vec::new();
        for wish in open {
            match (wish.fixed, wish.hint) {
                (Some(port), _) if !self.rules.range.contains(port) => {
                    let range = self.rules.range;
                    self.refuse(wish, Refusal::PortOutsideRange { port, range });
                }
                (Some(port), _) if !self.is_free(port, &wish.key) || !is_named_by(port, &wish.key) => {
                    self.refuse(wish, Refusal::PortTaken { port });
                }
                (Some(port), _) if !self.may_keep_more(&wish.key, Some(port)) || self.leaves_again(&wish.key, port) => {
                    self.refuse(wish, too_many());
                }
                (Some(port), _) => self.lease(wish, port),
                (None, Some(port)) if wish.rests_on_hint && self.is_of_another(port, &wish.key) => {
                    self.refuse(wish, Refusal::CopiedAddress { port });
                }
                (None, Some(port))
                    if self.is_free(port, &wish.key)
                        && is_named_by(port, &wish.key)
                        && self.may_keep_more(&wish.key, Some(port)) =>
                {
                    self.lease(wish, port);
                }
                (None, _) => rest.push(*wish),
            }
        }
        // Ports that others claim stay theirs to ask for.
        let range = self.rules.range;
        let mut ports = range.iter().filter(|port| !named.contains_key(port));
        for wish in rest {
            if !self.may_keep_more(&wish.key, None) {
                match self.take_own(&wish.key) {
                    Some(port) => self.lease(wish, port),
                    None => self.refuse(wish, too_many()),
                }
                continue;
            }
            match ports.by_ref().find(|port| self.is_free(*port, &wish.key)) {
                Some(port) => self.lease(wish, port),
                None => self.refuse(wish, Refusal::NoPortFree { range }),
            }
        }
    }

    fn is_usable(&self, port: u16) -> bool {
        self.rules.range.contains(port) && !self.blocked.contains(&port)
    }

    fn is_free(&self, port: u16, key: &EndpointKey) -> bool {
        let leases = &self.book.leases;
        self.is_usable(port)
            && (!leases.resting().contains_key(&port) || leases.is_left_by(port, key))
            && leases.holder(port).is_none_or(|holder| holder == key)
    }

    /// True if the endpoint's task may have this port (`None`: any fresh one) without keeping too many from others.
    fn may_keep_more(&self, key: &EndpointKey, port: Option<u16>) -> bool {
        let leases = &self.book.leases;
        let comes_back = port.is_some_and(|port| leases.is_left_by(port, key));
        leases.kept_for(key.task) < PORTS_MAX + usize::from(comes_back)
    }

    /// True if the endpoint would leave a port that it could keep, while the one still rests that it left before.
    fn leaves_again(&self, key: &EndpointKey, port: u16) -> bool {
        let leases = &self.book.leases;
        let lease = leases.of(key).filter(|lease| self.is_usable(lease.port));
        let former = lease.and_then(|lease| lease.former);
        former.is_some_and(|former| former != port && leases.is_left_by(former, key))
    }

    /// Ends the oldest of the leases that cool down for other endpoints of the same task, and returns its port.
    fn take_own(&mut self, key: &EndpointKey) -> Option<u16> {
        let own = self.book.leases.of_task(key.task);
        let cooling = own.filter(|lease| lease.key != *key && self.is_usable(lease.port));
        let (_, _, oldest) = cooling
            .filter_map(|lease| Some((lease.cooling_until?, lease.port, lease.key.clone())))
            .min()?;
        self.leases().remove(&oldest).map(|lease| lease.port)
    }

    /// True if another endpoint that is there has the port.
    fn is_of_another(&self, port: u16, key: &EndpointKey) -> bool {
        let holder = self.book.leases.holder(port).filter(|holder| *holder != key);
        let lease = holder.and_then(|holder| self.book.leases.of(holder));
        lease.is_some_and(|lease| lease.cooling_until.is_none())
    }

    fn lease(&mut self, wish: &Wish, port: u16) {
        let (now, range) = (self.now, self.rules.range);
        let until = Some(now.plus(self.rules.cooling)).filter(|until| *until > now);
        let leases = self.leases();
        let former = leases.remove(&wish.key).map(|lease| lease.port);
        if let (Some(former), Some(until)) = (former.filter(|former| range.contains(*former)), until) {
            leases.close(former, until, BTreeSet::from([wish.key.task]));
        }
        leases.rest(port, None);
        leases.put(Lease {
            key: wish.key.clone(),
            port,
            since: now,
            cooling_until: None,
            former,
            upstream: Some(wish.upstream),
        });
    }

    /// The endpoint's earlier lease, if it has one, is kept: it may want to come back.
    fn refuse(&mut self, wish: &Wish, refusal: Refusal) {
        self.book.refused.insert(wish.key.clone(), refusal);
    }
}
