//! Which tasks claim which addresses. An address that tasks of two owners claim is given to neither: whoever may edit a task could
//! otherwise have another's application answer under an endpoint and a rule of his own. For the same reason no TCP endpoint gets an
//! address that an HTTP endpoint claims: a public port knows less of people than the HTTP endpoint's rule.

use std::{collections::HashMap, net::SocketAddr, sync::Arc};

use super::SHARDS;
use crate::{
    clock::Timestamp,
    endpoint::{Protocol, TaskId},
    observe::ObservedTask,
    principal::UserId,
    refusal::Refusal,
};

/// All claims, sharded by address, so that a change copies little.
#[derive(Clone, Debug)]
pub(super) struct Claims(Box<[Arc<ClaimsShard>]>);

type ClaimsShard = HashMap<SocketAddr, Vec<Claim>>;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Claim {
    task: TaskId,
    protocol: Protocol,
    owner: UserId,
    started: Timestamp,
}

impl Claims {
    /// No claims, with room for about this many.
    pub(super) fn none(room: usize) -> Self {
        Self(
            (0..SHARDS)
                .map(|_| Arc::new(ClaimsShard::with_capacity(room / SHARDS)))
                .collect(),
        )
    }

    /// Adds a task's claim to an address (twice is once) and returns how many claims there are now.
    pub(super) fn add(&mut self, address: SocketAddr, protocol: Protocol, task: &ObservedTask) -> usize {
        let claims = Arc::make_mut(&mut self.0[shard_of(address)])
            .entry(address)
            // Nearly always the only one.
            .or_insert_with(|| Vec::with_capacity(1));
        // Sorted, so that the table does not depend on the order in which the claims arrived.
        if let Err(at) = claims.binary_search_by_key(&(task.id, protocol), |claim| (claim.task, claim.protocol)) {
            claims.insert(
                at,
                Claim {
                    task: task.id,
                    protocol,
                    owner: task.owner.clone(),
                    started: task.started.unwrap_or_default(),
                },
            );
        }
        claims.len()
    }

    /// Takes a task's claims to an address away.
    pub(super) fn remove(&mut self, address: SocketAddr, task: TaskId) {
        let shard = Arc::make_mut(&mut self.0[shard_of(address)]);
        if let Some(claims) = shard.get_mut(&address) {
            claims.retain(|claim| claim.task != task);
            if claims.is_empty() {
                shard.remove(&address);
            }
        }
    }

    /// The tasks that claim an address; one that claims it by two protocols comes twice.
    pub(super) fn claimants(&self, address: SocketAddr) -> impl Iterator<Item = TaskId> {
        self.at(address).iter().map(|claim| claim.task)
    }

    /// May `task` have the address for an endpoint of this protocol?
    pub(super) fn judge(&self, address: SocketAddr, protocol: Protocol, task: &ObservedTask) -> Result<(), Refusal> {
        let claims = self.at(address);
        if let Some(stranger) = claims.iter().find(|claim| claim.owner != task.owner) {
            return Err(Refusal::AddressContested { other: stranger.task });
        }
        let http = claims.iter().find(|claim| claim.protocol == Protocol::Http);
        if let Some(http) = http.filter(|_| protocol == Protocol::Tcp) {
            return Err(Refusal::AddressOfHttp { task: http.task });
        }
        let rivals = claims.iter().filter(|claim| claim.protocol == protocol);
        match rivals.max_by_key(|claim| (claim.started, claim.task)) {
            Some(newest) if newest.task != task.id => Err(Refusal::Superseded { by: newest.task }),
            _ => Ok(()),
        }
    }

    fn at(&self, address: SocketAddr) -> &[Claim] {
        self.0[shard_of(address)].get(&address).map_or(&[], Vec::as_slice)
    }
}

fn shard_of(address: SocketAddr) -> usize {
    let last = match address.ip() {
        std::net::IpAddr::V4(v4) => v4.octets()[3],
        std::net::IpAddr::V6(v6) => v6.octets()[15],
    };
    usize::from(last ^ address.port().to_be_bytes()[1])
}
