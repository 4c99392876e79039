//! Does ClearML show this user this task? Asked with the user's own token.

use std::sync::Arc;

use portico_core::{
    decision::Sight,
    endpoint::TaskId,
    principal::{CompanyId, User, UserId},
};

use super::{
    Gatekeeper,
    cache::Approach,
    errand::Errand,
    held::{Answer, Verdict},
};

/// Whose eyes, and which task.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct SightKey {
    user: UserId,
    company: CompanyId,
    task: TaskId,
}

impl SightKey {
    pub(super) fn new(user: &User, task: TaskId) -> Self {
        Self {
            user: user.id.clone(),
            company: user.company.clone(),
            task,
        }
    }
}

/// True: ClearML shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen(pub(super) bool);

impl Answer for Seen {
    fn is_yes(&self) -> bool {
        self.0
    }
}

fn judged(verdict: &Verdict<Seen>) -> Sight {
    match verdict {
        Verdict::Answer(Seen(true)) => Sight::Visible,
        Verdict::Answer(Seen(false)) => Sight::Hidden,
        Verdict::Unavailable => Sight::Unavailable,
    }
}

/// At most this many tasks go in one question.
const BATCH: usize = 500;

impl Gatekeeper {
    /// Does ClearML show this user this task? [`Sight::Unavailable`] if it cannot be asked and no answer of it still
    /// holds.
    pub async fn sight(&self, user: &Arc<User>, task: TaskId) -> Sight {
        let sights = self.sights(user, &[task]).await;
        sights.first().copied().unwrap_or(Sight::Unavailable)
    }

    /// The same for many tasks, for lists: one question for all that is not known. The answers are in the order of the
    /// tasks.
    pub async fn sights(&self, user: &Arc<User>, tasks: &[TaskId]) -> Vec<Sight> {
        let mut sights = Vec::with_capacity(tasks.len());
        for batch in tasks.chunks(BATCH) {
            self.look_at(user, batch, &mut sights).await;
        }
        sights
    }

    async fn look_at(&self, user: &Arc<User>, tasks: &[TaskId], sights: &mut Vec<Sight>) {
        let inner = &*self.0;
        let now = inner.clock.now();
        let first = sights.len();
        let mut flight = None;
        let mut asked = Vec::new();
        let mut open = Vec::new();
        let mut flights = Vec::new();
        for (at, task) in tasks.iter().enumerate() {
            let key = SightKey::new(user, *task);
            let known = match inner.sights.approach(&key, now, true, &mut flight) {
                Approach::Known(verdict) => Some(verdict),
                Approach::Wait(waiting) => {
                    flights.push(waiting);
                    None
                }
                Approach::Ask { meanwhile, .. } => {
                    asked.push(*task);
                    meanwhile
                }
            };
            if known.is_none() {
                open.push((first + at, key));
            }
            sights.push(known.as_ref().map_or(Sight::Unavailable, judged));
        }
        if let Some(flight) = flight {
            let errand = Errand::Sight {
                user: user.clone(),
                tasks: asked,
                done: flight.sender,
            };
            if inner.send(errand, false).is_ok() {
                flights.push(flight.receiver);
            }
        }
        if open.is_empty() {
            return;
        }
        for mut waiting in flights {
            if inner.wait(&mut waiting).await.is_err() {
                break;
            }
        }
        for (at, key) in open {
            if let Some(sight) = sights.get_mut(at) {
                *sight = judged(&inner.sights.settle(&key, inner.clock.now()));
            }
        }
    }
}
