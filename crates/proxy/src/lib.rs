//! The data plane: accepts connections, asks who may, forwards, records and cuts. It knows endpoints, never where they came from.
//!
//! [`bind`] makes all sockets, [`Bound::serve`] runs the data threads. Each thread has a runtime of its own and waits for nothing that
//! belongs to another: it reads the newest route table, asks the gatekeeper (which answers from memory), and hands requests for
//! Portico's own pages over to the [`PageDesk`].

mod connection;
mod counters;
mod doors;
mod exchanges;
mod http;
mod listen;
pub mod record;
mod serve;
mod settings;
mod stream;
mod thread;
mod tunnel;
mod upstream;

pub use counters::{Counters, ThreadCounts};
pub use doors::{Doors, PageCall, PageDesk, Visitor};
pub use exchanges::{CutReason, Exchange, Exchanges};
pub use listen::BindError;
pub use serve::{Bound, ServeError, bind};
pub use settings::{Limits, Settings, Shutdown, StreamSettings, Timeouts};
pub use stream::StreamRefusal;
pub use upstream::{Probe, Traffic, UpstreamStatus, Upstreams, probe};
