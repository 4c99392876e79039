//! Public ports of stream endpoints: which exist, who holds them, which stand open.

mod allocate;
mod leases;

use std::collections::BTreeMap;

use crate::endpoint::EndpointId;

pub use allocate::{PortBook, Rules, Wish, allocate};
pub use leases::{Lease, Leases, Upstream};

/// What the data plane made of the ports that the route table names. An address is published only when its port stands open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenPorts {
    /// The ports that are listened on, and for whom.
    pub open: BTreeMap<u16, EndpointId>,
    /// The ports that could not be opened, and what the system said: somebody else has them.
    pub failed: BTreeMap<u16, String>,
}
