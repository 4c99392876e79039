use super::*;

const NOON: Timestamp = Timestamp::from_secs(43_200);

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

#[test]
fn many_tries_at_once_gain_nothing() {
    let delays = Delays::default();
    let begun = (0..50)
        .filter(|_| delays.begin("alice", address("203.0.113.7"), false, NOON).is_ok())
        .count();
    assert_eq!(begun, 6, "five are free, and the one after that");
}

#[test]
fn whoever_has_one_ipv6_address_has_a_network_of_them() {
    let delays = Delays::default();
    for _ in 0..6 {
        let _ = delays.begin("alice", address("2001:db8::1"), false, NOON);
    }
    assert!(delays.begin("alice", address("2001:db8::ffff:1"), false, NOON).is_err());
    assert!(delays.begin("alice", address("2001:db8:0:1::1"), false, NOON).is_ok());
}

#[test]
fn filling_the_memory_buys_no_fresh_start() {
    let delays = Delays::default();
    for _ in 0..8 {
        let _ = delays.begin("alice", address("203.0.113.7"), false, NOON);
    }
    for number in 0..ROOM + 100 {
        let _ = delays.begin(&format!("user {number}"), address("203.0.113.7"), false, NOON);
    }
    assert!(delays.all().len() <= ROOM);
    assert!(delays.begin("alice", address("203.0.113.7"), false, NOON).is_err());
}

#[test]
fn delays_grow_to_a_minute_and_no_further() {
    let seconds: Vec<u64> = (0..15).map(|count| delay(count, false).as_secs()).collect();
    assert_eq!(seconds, [0, 0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60]);
    assert_eq!(delay(u32::MAX, false), LONGEST);
    assert_eq!(delay(u32::MAX, true), LONGEST_SHARED);
}
