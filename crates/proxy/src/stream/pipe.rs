//! Pipes through which the kernel moves bytes from socket to socket without copying them. A thread has a few, and lends them to
//! streams for as long as bytes are in them.

use std::{
    cell::{Cell, RefCell},
    io,
    os::fd::{AsFd, OwnedFd},
};

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};

/// What a pipe holds at most. The system may give less (`/proc/sys/fs/pipe-user-pages-soft`).
pub(super) const CAPACITY: usize = 256 * 1024;
/// Pipes of one thread at once; streams that find none copy.
const MAX: usize = 64;

thread_local! {
    static SPARE: RefCell<Vec<Ends>> = const { RefCell::new(Vec::new()) };
    static OPEN: Cell<usize> = const { Cell::new(0) };
}

/// Both ends of a pipe, counted for as long as they are open.
struct Ends {
    read: OwnedFd,
    write: OwnedFd,
}

impl Drop for Ends {
    fn drop(&mut self) {
        // At the end of the thread the count may be gone already.
        let _ = OPEN.try_with(|open| open.set(open.get() - 1));
    }
}

/// A pipe, lent.
pub(super) struct Pipe {
    ends: Option<Ends>,
    /// Bytes in it.
    held: usize,
}

impl Pipe {
    /// A pipe that is empty, if there is one.
    pub(super) fn lend() -> Option<Self> {
        let ends = SPARE.with_borrow_mut(Vec::pop).or_else(open)?;
        Some(Self {
            ends: Some(ends),
            held: 0,
        })
    }

    /// Moves what `from` has into the pipe, as far as it fits. It must be empty: a full pipe and a socket without bytes say the
    /// same.
    pub(super) fn fill(&mut self, from: impl AsFd) -> io::Result<usize> {
        let Some(ends) = &self.ends else { return Ok(0) };
        let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        let count = splice(from, None, &ends.write, None, CAPACITY, flags)?;
        self.held += count;
        Ok(count)
    }

    /// Moves what is in the pipe to `to`, as far as it is taken.
    pub(super) fn drain(&mut self, to: impl AsFd) -> io::Result<usize> {
        let Some(ends) = &self.ends else { return Ok(0) };
        let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        let count = splice(&ends.read, None, to, None, self.held, flags)?;
        self.held = self.held.saturating_sub(count);
        Ok(count)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held == 0
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        // One with bytes in it would give them to the next stream.
        if self.held == 0
            && let Some(ends) = self.ends.take()
        {
            let _ = SPARE.try_with(|spare| spare.borrow_mut().push(ends));
        }
    }
}

fn open() -> Option<Ends> {
    if OPEN.get() >= MAX {
        return None;
    }
    let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).ok()?;
    // A smaller one works too.
    let _ = fcntl_setpipe_size(&write, CAPACITY);
    OPEN.set(OPEN.get() + 1);
    Some(Ends { read, write })
}

/// Closes what nobody uses now. Called once a second, so that a thread without bulk has no pipe.
pub(crate) fn sweep() {
    SPARE.take();
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    fn pair() -> (std::os::unix::net::UnixStream, std::os::unix::net::UnixStream) {
        std::os::unix::net::UnixStream::pair().expect("sockets")
    }

    #[test]
    fn bytes_go_through_and_a_pipe_that_holds_some_is_never_lent_again() {
        let ((mut from, input), (output, mut to)) = (pair(), pair());
        from.write_all(b"secret").expect("room");
        let mut pipe = Pipe::lend().expect("a pipe");
        assert_eq!(pipe.fill(&input).expect("bytes"), 6);
        assert_eq!(pipe.drain(&output).expect("room"), 6);
        let mut got = [0; 6];
        to.read_exact(&mut got).expect("bytes");
        assert_eq!((&got, pipe.is_empty()), (b"secret", true));
        drop(pipe);
        assert_eq!(OPEN.get(), 1, "it is kept");

        let mut pipe = Pipe::lend().expect("the same pipe");
        from.write_all(b"secret").expect("room");
        pipe.fill(&input).expect("bytes");
        drop(pipe);
        assert_eq!(OPEN.get(), 0, "it is closed");
    }

    #[test]
    fn there_is_an_end_to_pipes_and_they_do_not_stay() {
        let all: Vec<_> = std::iter::from_fn(Pipe::lend).collect();
        assert_eq!(all.len(), MAX);
        drop(all);
        assert_eq!(OPEN.get(), MAX);
        sweep();
        assert_eq!(OPEN.get(), 0);
    }
}
