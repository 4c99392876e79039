#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

use portico_core::{
    principal::{CompanyId, Method},
    secret::Secret,
};

use super::{places::ADDRESSES_OF_ONE, *};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const HOUR: Duration = Duration::from_hours(1);

fn user(name: &str, session: &str) -> Arc<User> {
    Arc::new(User {
        id: UserId::new(name),
        company: CompanyId::new("c"),
        name: name.into(),
        is_administrator: false,
        method: Method::Session,
        session: Some(SessionId::new(session)),
        expires: Some(NOW.plus(HOUR * 3)),
        token: Secret::new("token"),
    })
}

fn address(number: usize) -> IpAddr {
    IpAddr::V4(u32::try_from(number).unwrap().into())
}

fn sessions(addresses: &Addresses, address: IpAddr, now: Timestamp) -> Vec<String> {
    let users = addresses.users(address, now);
    users
        .iter()
        .map(|user| user.session.as_ref().unwrap().to_string())
        .collect()
}

#[test]
fn the_last_used_stands_in_front_and_use_moves_a_log_in_there() {
    let addresses = Addresses::new();
    let (a, b) = (user("alice", "a"), user("bob", "b"));
    addresses.note(address(1), &a, NOW.plus(HOUR), NOW);
    addresses.note(address(1), &b, NOW.plus(HOUR), NOW.plus(PAUSE / 2));
    assert_eq!(sessions(&addresses, address(1), NOW), ["b", "a"]);
    addresses.note(address(1), &a, NOW.plus(HOUR), NOW.plus(PAUSE / 10 * 9));
    assert_eq!(
        sessions(&addresses, address(1), NOW),
        ["b", "a"],
        "not noted again so soon"
    );
    addresses.note(address(1), &a, NOW.plus(HOUR), NOW.plus(PAUSE));
    assert_eq!(sessions(&addresses, address(1), NOW), ["a", "b"]);
    assert_eq!(addresses.users(address(2), NOW), []);
}

#[test]
fn a_log_in_counts_until_it_ends() {
    let addresses = Addresses::new();
    let alice = user("alice", "a");
    addresses.note(address(1), &alice, NOW.plus(HOUR), NOW);
    assert_eq!(sessions(&addresses, address(1), NOW.plus(HOUR / 60 * 59)), ["a"]);
    assert!(sessions(&addresses, address(1), NOW.plus(HOUR)).is_empty());
    addresses.note(address(1), &alice, NOW.plus(HOUR * 9), NOW);
    assert_eq!(
        sessions(&addresses, address(1), NOW.plus(HOUR)),
        ["a"],
        "its use was noted at once"
    );
    assert!(sessions(&addresses, address(1), NOW.plus(HOUR * 3)).is_empty());
}

#[test]
fn what_ended_is_forgotten() {
    let addresses = Addresses::new();
    for (at, session) in [(1, "revoked"), (2, "idle"), (3, "good"), (4, "revoked"), (4, "good")] {
        let idle_end = NOW.plus(if session == "idle" { HOUR } else { HOUR * 2 });
        addresses.note(address(at), &user("alice", session), idle_end, NOW);
    }
    assert_eq!(addresses.len(), 4);
    addresses.forget_ended(NOW.plus(HOUR), |session, _| session.as_str() == "revoked");
    assert_eq!(addresses.len(), 2);
    assert_eq!(sessions(&addresses, address(4), NOW), ["good"]);
    addresses.clear();
    assert_eq!(addresses.len(), 0);
}

#[test]
fn one_user_does_not_take_the_places_of_the_others() {
    let addresses = Addresses::new();
    addresses.note(address(1), &user("alice", "a"), NOW.plus(HOUR), NOW);
    for number in 1..VISITS * 2 {
        let at = NOW.plus(Duration::from_secs(number as u64));
        addresses.note(address(1), &user("mallory", &format!("m{number}")), NOW.plus(HOUR), at);
    }
    let known = sessions(&addresses, address(1), NOW);
    assert_eq!(known.len(), 1 + VISITS_OF_ONE);
    assert!(known.contains(&"a".to_owned()));
    assert_eq!(known.first(), Some(&format!("m{}", VISITS * 2 - 1)));
}

#[test]
fn the_memory_is_bounded_in_all_and_for_each_address() {
    let addresses = Addresses::new();
    for number in 0..VISITS * 2 {
        let at = NOW.plus(Duration::from_secs(number as u64));
        addresses.note(address(1), &user(&format!("u{number}"), "s"), NOW.plus(HOUR), at);
    }
    let known = addresses.users(address(1), NOW);
    assert_eq!(known.len(), VISITS);
    assert_eq!(known.first().unwrap().id, UserId::new(format!("u{}", VISITS * 2 - 1)));
    let users: Vec<_> = (0..1024).map(|number| user(&format!("u{number}"), "s")).collect();
    for number in 0..SHARDS * ADDRESSES * 2 {
        let at = NOW.plus(Duration::from_millis(number as u64));
        addresses.note(address(number), &users[number % users.len()], NOW.plus(HOUR), at);
    }
    assert!(addresses.len() <= SHARDS * ADDRESSES);
    assert!(addresses.len() > SHARDS * ADDRESSES / 2);
    assert!(
        !addresses.users(address(SHARDS * ADDRESSES * 2 - 1), NOW).is_empty(),
        "the newest is known"
    );
}

/// Whoever has an IPv6 network comes from as many addresses as there are places.
#[test]
fn one_user_takes_no_more_than_so_many_addresses_and_the_oldest_goes() {
    let addresses = Addresses::new();
    let network = |number: usize| IpAddr::V6(((0x2001_0db8_u128 << 96) | number as u128).into());
    let bob = user("bob", "b");
    addresses.note(network(0), &bob, NOW.plus(HOUR), NOW);
    let mallory = user("mallory", "m");
    let count = SHARDS * ADDRESSES;
    let at = |number: usize| NOW.plus(Duration::from_millis(number as u64));
    for number in 0..count {
        addresses.note(network(number), &mallory, NOW.plus(HOUR), at(number));
    }
    assert_eq!(sessions(&addresses, network(0), NOW), ["b"], "of others nothing went");
    let left = (1..count).filter(|number| !addresses.users(network(*number), NOW).is_empty());
    let newest: Vec<_> = (count - ADDRESSES_OF_ONE..count).collect();
    assert_eq!(left.collect::<Vec<_>>(), newest);
    assert_eq!(addresses.len(), 1 + ADDRESSES_OF_ONE);
}

#[test]
fn an_address_that_is_used_again_stays_and_one_that_ended_takes_no_place() {
    let addresses = Addresses::new();
    let alice = user("alice", "a");
    let at = |number: usize| NOW.plus(PAUSE * u32::try_from(number).unwrap());
    for number in 0..ADDRESSES_OF_ONE {
        addresses.note(address(number), &alice, NOW.plus(HOUR), at(number));
    }
    addresses.note(address(0), &alice, NOW.plus(HOUR), at(ADDRESSES_OF_ONE));
    addresses.note(address(100), &alice, NOW.plus(HOUR), at(ADDRESSES_OF_ONE + 1));
    assert_eq!(sessions(&addresses, address(0), NOW), ["a"]);
    assert!(sessions(&addresses, address(1), NOW).is_empty());
    addresses.forget_ended(NOW.plus(HOUR), |_, _| false);
    let later = NOW.plus(HOUR);
    for number in 0..ADDRESSES_OF_ONE {
        addresses.note(address(number), &alice, later.plus(HOUR), later);
    }
    addresses.note(address(0), &alice, later.plus(HOUR), later.plus(PAUSE));
    assert_eq!(addresses.len(), ADDRESSES_OF_ONE);
}

#[test]
fn an_address_counts_however_it_is_written() {
    let addresses = Addresses::new();
    let (plain, mapped): (IpAddr, IpAddr) = ("203.0.113.7".parse().unwrap(), "::ffff:203.0.113.7".parse().unwrap());
    addresses.note(mapped, &user("alice", "a"), NOW.plus(HOUR), NOW);
    assert_eq!(sessions(&addresses, plain, NOW), ["a"]);
    assert_eq!(sessions(&addresses, mapped, NOW), ["a"]);
}
