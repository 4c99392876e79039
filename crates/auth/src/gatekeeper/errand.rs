//! What data threads put to the desk, and how they wait for it.

use std::sync::Arc;

use portico_core::{
    endpoint::TaskId,
    principal::{SessionId, User, UserId},
    refusal::Refusal,
};
use tokio::{
    sync::{mpsc::error::TrySendError, watch},
    time::timeout,
};

use super::Inner;
use crate::{check::ClearmlCredential, digest::Digest};

/// Something to ask or to do. Dropping `done` tells those who wait that it is over.
pub(super) enum Errand {
    /// Whose is this credential?
    Identity {
        key: Digest,
        credential: ClearmlCredential,
        session: Option<(SessionId, UserId)>,
        done: watch::Sender<()>,
    },
    /// Which of these tasks does this user see?
    Sight {
        user: Arc<User>,
        tasks: Vec<TaskId>,
        done: watch::Sender<()>,
    },
    /// This session ends, because ClearML's cookie names somebody else.
    End { session: SessionId, user: UserId },
}

impl Inner {
    /// Puts an errand to the desk. Strangers queue apart, so that they cannot keep known users waiting.
    pub(super) fn send(&self, errand: Errand, is_stranger: bool) -> Result<(), Refusal> {
        let queue = if is_stranger { &self.strangers } else { &self.known };
        queue.try_send(errand).map_err(|error| match error {
            TrySendError::Full(_) => Refusal::Overloaded,
            TrySendError::Closed(_) => Refusal::ShuttingDown,
        })
    }

    /// Waits until a question is answered or given up. An error if it still waits to be asked after a long time.
    pub(super) async fn wait(&self, flight: &mut watch::Receiver<()>) -> Result<(), ()> {
        match timeout(self.settings.patience * 2, flight.changed()).await {
            Ok(_) => Ok(()),
            Err(_) => Err(()),
        }
    }
}
