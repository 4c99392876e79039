//! How tasks are read whole: page by page, and where a page cannot be read, in ever smaller parts, until those that cannot be read
//! are alone.

use portico_core::{clock::Timestamp, endpoint::TaskId};

use super::{Source, questions::List, row::Row};
use crate::client::CallError;

impl Source {
    /// Reads a list and takes what it shows. Where it cannot be read, its tasks come without what people wrote, and are read whole by
    /// their ids next.
    pub(super) async fn read(&mut self, list: List<'_>) -> Result<Vec<Row>, CallError> {
        let mut failure = None;
        if self.aside.is_quiet() {
            match self.questions.whole(list, self.questions.answer_limit()).await {
                Err(error) if error.is_divisible() => failure = Some(error),
                rows => {
                    let rows = rows?;
                    self.take(&rows);
                    return Ok(rows);
                }
            }
        }
        // A server that does not answer this either is to blame itself.
        let rows = self.questions.plain(list).await?;
        if let Some(error) = failure {
            self.divide(&error);
        }
        self.leave_strangers();
        let now = self.clock.now();
        for row in &rows {
            let Some(id) = row.id() else { continue };
            if !self.aside.sees(id, row.changed(), now) {
                self.memory.want_whole(id);
            }
        }
        // As long as tasks are set aside every list takes two calls, but nobody waits a turn for the second one.
        if !self.aside.is_dividing() {
            self.ask_whole().await?;
        }
        Ok(rows)
    }

    /// Reads known tasks, and those of a list that could not be read.
    pub(super) async fn ask_whole(&mut self) -> Result<(), CallError> {
        let ids = self.memory.stale(self.aside.part());
        if ids.is_empty() {
            return Ok(());
        }
        let list = List::Ids(&ids);
        let limit = self.aside.limit(ids.len(), self.questions.answer_limit());
        let error = match self.questions.whole(list, limit).await {
            Err(error) if error.is_divisible() => error,
            rows => {
                let rows = rows?;
                self.take(&rows);
                self.aside
                    .note_read(rows.iter().filter_map(|row| Some((row.id()?, row.changed()))));
                // One that is no more is for the other question to find out, with its care.
                for id in &ids {
                    self.memory.settle(*id);
                }
                return Ok(());
            }
        };
        let is_smallest = self.aside.is_smallest(ids.len());
        // No single task takes so long: the server does.
        if ids.len() == 1 && !error.is_unreadable() {
            return Err(error);
        }
        if is_smallest || !self.aside.is_dividing() {
            self.questions.plain(list).await?;
        }
        if !self.aside.is_dividing() {
            self.divide(&error);
        }
        if is_smallest && error.is_unreadable() {
            self.aside.set_aside(ids.iter().copied(), self.clock.now());
            for id in ids {
                self.memory.settle(id);
            }
        } else {
            self.aside.note_unread(ids.len());
        }
        Ok(())
    }

    /// Tries tasks again that were set aside.
    pub(super) async fn ask_again(&mut self) -> Result<(), CallError> {
        let now = self.clock.now();
        self.aside.forget_unseen(now);
        let ids = self.aside.due(now);
        if ids.is_empty() {
            return Ok(());
        }
        // First when they changed, then what they hold: what changes in between is not missed.
        let rows = self.questions.plain(List::Ids(&ids)).await?;
        let tasks: Vec<(TaskId, Timestamp)> = rows.iter().filter_map(|row| Some((row.id()?, row.changed()))).collect();
        let is_there = |id: &TaskId| tasks.iter().any(|(there, _)| there == id);
        self.aside.forget(ids.into_iter().filter(|id| !is_there(id)));
        if tasks.is_empty() {
            return Ok(());
        }
        let ids: Vec<TaskId> = tasks.iter().map(|(id, _)| *id).collect();
        let limit = self.aside.limit(ids.len(), self.questions.answer_limit());
        match self.questions.whole(List::Ids(&ids), limit).await {
            Err(error) if error.is_unreadable() || error.is_divisible() && ids.len() > 1 => {
                if self.aside.is_news(&tasks, now) {
                    warn(ids.first(), &error);
                }
            }
            rows => {
                self.take(&rows?);
                self.aside.take_back(&tasks, now);
            }
        }
        Ok(())
    }

    /// Nobody waits for a task that is set aside.
    pub(super) fn settle_aside(&mut self) {
        for id in self.aside.ids() {
            self.memory.settle(id);
        }
        if self.memory.stale(1).is_empty() {
            self.aside.finish();
        }
    }

    fn divide(&mut self, error: &CallError) {
        tracing::info!(
            reason = error.reason(),
            "an answer of clearml about several tasks cannot be read: they are read in smaller parts"
        );
        self.aside.divide(error);
    }
}

fn warn(task: Option<&TaskId>, error: &CallError) {
    tracing::warn!(
        task = task.map(tracing::field::display),
        reason = error.reason(),
        "what clearml answers about this task cannot be read, because of what somebody wrote into it, such as NaN or megabytes of \
         text: it is left out, or stays as it was read last, until it changes, and all others are served (its owner should stop it, and \
         reset or delete it)"
    );
}
