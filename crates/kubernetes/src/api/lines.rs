//! The lines of a watch, as they come.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use kube::client::Body;

use super::ApiError;

/// The longest line: an object has 1.5 MiB at most, and escapes may make it longer.
const LONGEST: usize = 16 << 20;

/// The lines of an answer that goes on.
pub(crate) struct Lines {
    body: Body,
    rest: BytesMut,
    scanned: usize,
}

impl Lines {
    pub(super) fn new(body: Body) -> Self {
        Self {
            body,
            rest: BytesMut::new(),
            scanned: 0,
        }
    }

    /// Waits for at least one line and returns all that are there. `None` when the server has ended the answer.
    pub(crate) async fn next(&mut self) -> Result<Option<VecDeque<Bytes>>, ApiError> {
        loop {
            let lines = self.take();
            if !lines.is_empty() {
                return Ok(Some(lines));
            }
            if self.rest.len() > LONGEST {
                return Err(ApiError::BadAnswer("a line without an end".to_owned()));
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.rest.extend_from_slice(&data);
                    }
                }
                Some(Err(error)) => return Err(ApiError::broken(&error)),
            }
        }
    }

    fn take(&mut self) -> VecDeque<Bytes> {
        let mut lines = VecDeque::new();
        while let Some(at) = self.rest.iter().skip(self.scanned).position(|byte| *byte == b'\n') {
            let line = self.rest.split_to(self.scanned + at + 1).freeze();
            self.scanned = 0;
            lines.push_back(line);
        }
        self.scanned = self.rest.len();
        lines
    }
}
