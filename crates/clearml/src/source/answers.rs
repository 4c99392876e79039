//! What each question's answer changes.

use std::{collections::BTreeSet, time::Duration};

use portico_core::{clock::Timestamp, endpoint::TaskId};

use super::{
    Source,
    doubt::{Doubt, Verdict},
    plan::Question,
    questions::{List, PAGE},
    row::Row,
};
use crate::client::CallError;

/// The server's changes are asked for again over so long: several API servers' clocks differ, and writes take a moment.
const OVERLAP: Duration = Duration::from_secs(10);

/// A list that is read page by page.
#[derive(Debug, Default)]
pub(super) struct Pass {
    page: usize,
    seen: BTreeSet<TaskId>,
}

impl Pass {
    /// Takes a page. False if it was the last one.
    fn goes_on(&mut self, rows: &[Row]) -> bool {
        self.page += 1;
        self.seen.extend(rows.iter().filter_map(Row::id));
        rows.len() >= PAGE
    }
}

impl Source {
    /// Asks a question and takes what is answered.
    pub(super) async fn ask(&mut self, question: Question) -> Result<(), CallError> {
        match question {
            Question::Changes => self.ask_changes().await,
            Question::Running => self.ask_running().await,
            Question::ByProperty => self.ask_by_property().await,
            Question::Known => self.ask_known().await,
            Question::Whole => self.ask_whole().await,
            Question::Again => self.ask_again().await,
            Question::Unlisted => {
                let ids = self.memory.unlisted_after(self.unlisted_after, PAGE);
                self.read(List::Ids(&ids)).await?;
                self.unlisted_after = ids.last().copied().filter(|_| ids.len() >= PAGE);
                Ok(())
            }
            Question::Anything => {
                self.anything_runs = self.questions.anything().await?;
                Ok(())
            }
            Question::Workers => {
                let workers = self.questions.workers().await;
                let now = self.clock.now();
                let result = match workers {
                    Ok(workers) => {
                        self.memory.take_workers(workers, now);
                        Ok(())
                    }
                    // A server that will not tell knows none: tasks must not wait for it.
                    Err(error) if error.is_refusal() => {
                        self.memory.take_workers(Vec::new(), now);
                        Err(error)
                    }
                    // It knows some, which stay where they were: what somebody else's worker reports moves nobody's.
                    Err(error) if error.is_unreadable() => {
                        self.memory.miss_workers();
                        Err(error)
                    }
                    Err(error) => return Err(error),
                };
                self.has_read.workers = true;
                result
            }
            Question::Queues => {
                let now = self.clock.now();
                let ids = self.memory.wanted_queues(now, PAGE);
                let names = self.questions.queues(&ids).await;
                self.memory.join(|joins| match &names {
                    Ok(names) => joins.set_queues(&ids, names, now),
                    Err(_) => joins.give_up_queues(&ids, now),
                });
                names.map(drop)
            }
        }
    }

    /// The newest changes are enough: if one answer does not hold all, the full reads bring the others.
    async fn ask_changes(&mut self) -> Result<(), CallError> {
        let since = self.since.map(|since| back(since, OVERLAP));
        let rows = self.read(List::Changes(since)).await?;
        self.since = self.since.max(rows.iter().map(Row::changed).max());
        Ok(())
    }

    async fn ask_running(&mut self) -> Result<(), CallError> {
        // A pass that fails halfway starts anew.
        let mut pass = self.running.take().unwrap_or_default();
        let rows = self.read(List::Running(pass.page)).await?;
        if pass.page == 0 && self.since.is_none() {
            self.since = rows.iter().map(Row::changed).max();
        }
        if pass.goes_on(&rows) {
            self.running = Some(pass);
        } else {
            self.memory.doubt_tagged(&pass.seen);
            self.memory.doubt_ended();
            self.has_read.running = true;
        }
        Ok(())
    }

    async fn ask_by_property(&mut self) -> Result<(), CallError> {
        let mut pass = self.by_property.take().unwrap_or_default();
        let rows = self.read(List::ByProperty(pass.page)).await?;
        if pass.goes_on(&rows) {
            self.by_property = Some(pass);
        } else {
            self.memory.doubt_by_property(&pass.seen);
            self.has_read.properties = true;
        }
        Ok(())
    }

    async fn ask_known(&mut self) -> Result<(), CallError> {
        let asked = match &self.doubt {
            Some(doubt) => doubt
                .asked()
                .iter()
                .copied()
                .filter(|id| self.memory.contains(*id))
                .collect(),
            None => self.memory.ids_after(self.known_after, PAGE),
        };
        let briefs = if asked.is_empty() {
            Vec::new()
        } else {
            self.questions.brief(&asked).await?
        };
        let now = self.clock.now();
        for brief in &briefs {
            self.aside.sees(brief.id, brief.changed, now);
            self.memory.take_brief(brief);
        }
        let is_seen = |id: &&TaskId| briefs.iter().any(|brief| brief.id == **id);
        let missing: Vec<TaskId> = asked.iter().filter(|id| !is_seen(id)).copied().collect();
        self.known_after = asked.last().copied().filter(|_| asked.len() >= PAGE);
        self.doubt = match Doubt::judge(self.doubt.take(), asked, missing) {
            Verdict::Clear => None,
            Verdict::Gone(ids) => {
                for id in ids {
                    self.memory.forget(id);
                }
                None
            }
            Verdict::Doubtful(doubt) => Some(doubt),
        };
        self.has_read.known |= self.known_after.is_none() && self.doubt.is_none();
        match &self.doubt {
            Some(doubt) if doubt.is_grave() => Err(CallError::Untrusted(doubt.to_string())),
            _ => Ok(()),
        }
    }
}

fn back(moment: Timestamp, by: Duration) -> Timestamp {
    let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millis(moment.as_millis().saturating_sub(by))
}
