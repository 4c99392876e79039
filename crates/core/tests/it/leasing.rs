//! Who gets which public port.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use portico_core::{
    clock::Timestamp,
    endpoint::{EndpointKey, Protocol, TaskId},
    port_range::PortRange,
    ports::{Leases, PortBook, Rules, Upstream, Wish, allocate},
    refusal::Refusal,
};
use proptest::prelude::*;

const COOLING: Duration = Duration::from_secs(100);

fn rules(start: u16, end: u16) -> Rules {
    Rules {
        range: PortRange::new(start, end).expect("a range"),
        cooling: COOLING,
    }
}

fn key(number: u64) -> EndpointKey {
    EndpointKey {
        task: TaskId::parse(&format!("{number:032x}")).expect("32 digits"),
        protocol: Protocol::Tcp,
        name: None,
    }
}

fn wish(number: u64) -> Wish {
    Wish {
        key: key(number),
        hint: None,
        rests_on_hint: false,
        fixed: None,
        upstream: Upstream {
            claimed: None,
            earlier: None,
            port: 22,
        },
    }
}

fn hinting(number: u64, port: u16) -> Wish {
    Wish {
        hint: Some(port),
        ..wish(number)
    }
}

fn fixed(number: u64, port: u16) -> Wish {
    Wish {
        fixed: Some(port),
        ..wish(number)
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_secs(seconds)
}

fn give(wishes: &[Wish], leases: &Arc<Leases>, seconds: i64) -> PortBook {
    allocate(wishes, leases, &rules(30000, 30002), &BTreeSet::new(), at(seconds))
}

fn none() -> Arc<Leases> {
    Arc::default()
}

/// The port that an endpoint has now.
fn port(book: &PortBook, number: u64) -> Option<u16> {
    let lease = book.leases.of(&key(number))?;
    lease.cooling_until.is_none().then_some(lease.port)
}

#[test]
fn an_endpoint_keeps_its_port_as_long_as_it_is_there() {
    let first = give(&[wish(1), wish(2)], &none(), 0);
    let ports = [1, 2].map(|number| port(&first, number));
    assert_eq!(ports.iter().flatten().collect::<BTreeSet<_>>().len(), 2);
    let later = give(&[wish(0), wish(1), wish(2)], &first.leases, 1_000_000);
    assert_eq!([1, 2].map(|number| port(&later, number)), ports);
}

#[test]
fn nothing_changes_where_nothing_is_asked_anew() {
    let first = give(&[wish(1), wish(2)], &none(), 0);
    let again = give(&[wish(1), wish(2)], &first.leases, 5);
    assert!(Arc::ptr_eq(&first.leases, &again.leases));
}

#[test]
fn a_port_cools_before_another_endpoint_gets_it_and_comes_back_to_its_own() {
    let narrow = rules(30000, 30000);
    let give = |wishes: &[Wish], leases: &Arc<Leases>, seconds| {
        allocate(wishes, leases, &narrow, &BTreeSet::new(), at(seconds))
    };
    let held = give(&[wish(1)], &none(), 0);
    let gone = give(&[], &held.leases, 10);
    assert_eq!((port(&gone, 1), gone.leases.next_end()), (None, Some(at(110))));
    let other = give(&[wish(2)], &gone.leases, 109);
    assert_eq!(port(&other, 2), None);
    let range = narrow.range;
    assert_eq!(other.refused.get(&key(2)), Some(&Refusal::NoPortFree { range }));
    assert_eq!(
        port(&give(&[wish(1)], &other.leases, 109), 1),
        Some(30000),
        "back in time"
    );
    assert_eq!(
        port(&give(&[wish(2)], &other.leases, 110), 2),
        Some(30000),
        "cooled down"
    );
}

#[test]
fn a_clock_that_was_set_back_does_not_keep_a_port_for_years() {
    let gone = give(&[], &give(&[wish(1)], &none(), 10_000_000).leases, 10_000_000);
    let earlier = give(&[], &gone.leases, 0);
    assert_eq!(earlier.leases.next_end(), Some(at(100)));
}

#[test]
fn without_cooling_a_port_is_free_at_once() {
    let rules = Rules {
        cooling: Duration::ZERO,
        ..rules(30000, 30000)
    };
    let give = |wishes: &[Wish], leases: &Arc<Leases>| allocate(wishes, leases, &rules, &BTreeSet::new(), at(0));
    let held = give(&[wish(1)], &none());
    assert_eq!(port(&give(&[wish(2)], &held.leases), 2), Some(30000));
    // Two that name it get it no more than with cooling.
    let both = give(&[hinting(1, 30000), hinting(2, 30000)], &none());
    assert!(both.leases.is_empty());
    let both = give(&[hinting(1, 30000), fixed(2, 30000)], &none());
    assert!(both.leases.is_empty());
}

#[test]
fn a_full_range_displaces_nobody() {
    let full = give(&[wish(1), wish(2), wish(3)], &none(), 0);
    let more = give(
        &[wish(0), wish(1), wish(2), wish(3), fixed(4, 30001), hinting(5, 30002)],
        &full.leases,
        1,
    );
    assert_eq!(
        [1, 2, 3].map(|number| port(&more, number)),
        [1, 2, 3].map(|number| port(&full, number))
    );
    let codes: Vec<_> = [0, 4, 5].map(|number| more.refused[&key(number)].code()).into();
    assert_eq!(codes, ["no_port_free", "port_taken", "no_port_free"]);
}

#[test]
fn a_hint_is_followed_only_if_the_port_is_free_and_nobody_else_names_it() {
    assert_eq!(port(&give(&[hinting(1, 30002)], &none(), 0), 1), Some(30002));
    let both = give(&[hinting(1, 30002), hinting(2, 30002)], &none(), 0);
    for number in [1, 2] {
        assert!(port(&both, number).is_some_and(|port| port != 30002));
    }
    let held = give(&[hinting(1, 30002)], &none(), 0);
    let thief = give(&[hinting(1, 30002), hinting(2, 30002)], &held.leases, 1);
    assert_eq!(port(&thief, 1), Some(30002));
    assert!(port(&thief, 2).is_some_and(|port| port != 30002));
    let outside = give(&[hinting(1, 22)], &none(), 0);
    assert_eq!(port(&outside, 1), Some(30000));
}

#[test]
fn a_hint_does_not_get_a_port_that_cools_for_another() {
    let gone = give(&[], &give(&[hinting(1, 30002)], &none(), 0).leases, 1);
    let thief = give(&[hinting(2, 30002)], &gone.leases, 2);
    assert_ne!(port(&thief, 2), Some(30002));
}

#[test]
fn values_that_were_copied_from_an_endpoint_that_is_there_lead_nowhere() {
    let copy = Wish {
        rests_on_hint: true,
        ..hinting(2, 30000)
    };
    let held = give(&[wish(1)], &none(), 0);
    assert_eq!(port(&held, 1), Some(30000));
    let book = give(&[wish(1), copy.clone()], &held.leases, 1);
    assert_eq!(book.refused.get(&key(2)), Some(&Refusal::CopiedAddress { port: 30000 }));
    assert!(book.leases.of(&key(2)).is_none());
    let alone = give(&[copy], &held.leases, 1);
    assert_eq!(port(&alone, 2), Some(30001), "nobody uses the port, yet it cools");
}

#[test]
fn a_fixed_port_is_given_or_refused_with_the_reason() {
    let held = give(&[fixed(1, 30001), wish(2), fixed(3, 22), fixed(4, 30001)], &none(), 0);
    assert_eq!(held.refused[&key(1)], Refusal::PortTaken { port: 30001 }, "two want it");
    let held = give(&[fixed(1, 30001), wish(2), fixed(3, 22)], &none(), 0);
    assert_eq!(port(&held, 1), Some(30001));
    let range = rules(30000, 30002).range;
    assert_eq!(held.refused[&key(3)], Refusal::PortOutsideRange { port: 22, range });
    let late = give(&[fixed(1, 30001), wish(2), fixed(4, 30001)], &held.leases, 1);
    assert_eq!(port(&late, 1), Some(30001));
    assert_eq!(late.refused[&key(4)], Refusal::PortTaken { port: 30001 });
}

#[test]
fn nobody_gets_by_a_fixed_wish_what_another_task_names_as_its_own() {
    // After a restart without leases: alice's task still names its port, mallory's asks for it.
    let book = give(&[hinting(1, 30001), fixed(2, 30001)], &none(), 0);
    assert_eq!(book.refused[&key(2)], Refusal::PortTaken { port: 30001 });
    assert!(book.leases.holder(30001).is_none());
    // Alice's task names its new port now; those who knew the old one still try it.
    let book = give(
        &[hinting(1, 30000), fixed(2, 30001), wish(3), wish(4)],
        &book.leases,
        99,
    );
    assert!(book.leases.holder(30001).is_none());
    let book = give(&[hinting(1, 30000), fixed(2, 30001)], &book.leases, 100);
    assert_eq!(port(&book, 2), Some(30001));
}

#[test]
fn an_endpoint_that_changes_its_mind_moves_to_the_fixed_port() {
    let held = give(&[wish(1)], &none(), 0);
    let moved = give(&[fixed(1, 30002)], &held.leases, 1);
    let lease = moved.leases.of(&key(1)).expect("a lease");
    assert_eq!((lease.port, lease.former), (30002, Some(30000)));
    assert!(moved.leases.holder(30000).is_none());
}

#[test]
fn a_port_that_somebody_else_listens_on_is_left_for_another_one() {
    let held = give(&[wish(1), wish(2)], &none(), 0);
    assert_eq!(port(&held, 1), Some(30000));
    let blocked = BTreeSet::from([30000]);
    let moved = allocate(
        &[wish(1), wish(2), fixed(3, 30000)],
        &held.leases,
        &rules(30000, 30002),
        &blocked,
        at(1),
    );
    assert_eq!((port(&moved, 1), port(&moved, 2)), (Some(30002), Some(30001)));
    assert_eq!(moved.leases.of(&key(1)).and_then(|lease| lease.former), Some(30000));
    assert_eq!(moved.refused[&key(3)], Refusal::PortTaken { port: 30000 });
}

#[test]
fn a_lease_outside_of_a_new_range_moves() {
    let held = give(&[wish(1)], &none(), 0);
    let moved = allocate(&[wish(1)], &held.leases, &rules(31000, 31001), &BTreeSet::new(), at(1));
    assert_eq!(port(&moved, 1), Some(31000));
}

#[test]
fn where_an_endpoint_leads_to_is_remembered() {
    let held = give(&[wish(1)], &none(), 0);
    let moved = Upstream {
        claimed: Some([10, 0, 0, 1].into()),
        earlier: None,
        port: 10023,
    };
    let later = give(
        &[Wish {
            upstream: moved,
            ..wish(1)
        }],
        &held.leases,
        9,
    );
    let lease = later.leases.of(&key(1)).expect("a lease");
    assert_eq!((lease.upstream, lease.since, lease.port), (Some(moved), at(0), 30000));
}

#[test]
fn leases_are_the_same_after_a_restart() {
    let held = give(&[wish(1), fixed(2, 30002)], &none(), 7);
    let gone = give(&[wish(1)], &held.leases, 8);
    let moved = give(&[fixed(1, 30001)], &gone.leases, 9);
    assert_eq!(moved.leases.resting().len(), 1);
    for leases in [gone.leases, moved.leases] {
        let text = serde_json::to_string(&*leases).expect("leases can be written");
        let read: Leases = serde_json::from_str(&text).expect("leases can be read");
        assert_eq!(read, *leases);
    }
}

#[test]
fn a_stored_document_that_somebody_edited_displaces_nobody() {
    let lease = |number: u64, port: u16, since: i64| serde_json::json!({"key": {"task": key(number).task, "protocol": "tcp", "name": null}, "port": port, "since": since});
    let document =
        serde_json::json!({"leases": [lease(2, 30000, 9), lease(1, 30000, 5), lease(1, 30001, 6), lease(3, 0, 1)]});
    let leases: Leases = serde_json::from_value(document).expect("leases");
    let ports: Vec<_> = leases.iter().map(|lease| (lease.key.clone(), lease.port)).collect();
    assert_eq!(ports, [(key(1), 30000)]);
}

fn named(task: u64, name: u8) -> EndpointKey {
    EndpointKey {
        name: Some(format!("e{name}").into()),
        ..key(task)
    }
}

#[test]
fn a_task_that_renames_its_endpoints_gets_its_own_ports_again() {
    let wide = rules(30000, 30099);
    let all = |from: u8| -> Vec<Wish> {
        let wish = |name| Wish {
            key: named(1, name),
            ..wish(1)
        };
        (from..from + 32).map(wish).collect()
    };
    let ports = |book: &PortBook| book.leases.iter().map(|lease| lease.port).collect::<BTreeSet<_>>();
    let first = allocate(&all(0), &none(), &wide, &BTreeSet::new(), at(0));
    assert_eq!(ports(&first).len(), 32);
    let renamed = allocate(&all(100), &first.leases, &wide, &BTreeSet::new(), at(1));
    assert!(renamed.refused.is_empty(), "{:?}", renamed.refused);
    assert_eq!(ports(&renamed), ports(&first));
    let more: Vec<Wish> = all(100).into_iter().chain(all(0)).collect();
    let more = allocate(&more, &renamed.leases, &wide, &BTreeSet::new(), at(2));
    assert_eq!(ports(&more), ports(&first));
    assert_eq!(more.refused[&named(1, 0)], Refusal::TooManyPorts { most: 32 });
}

#[test]
fn an_endpoint_leaves_one_port_for_another_once_within_a_cooling_time() {
    let held = give(&[fixed(1, 30000)], &none(), 0);
    let moved = give(&[fixed(1, 30001)], &held.leases, 1);
    assert_eq!(port(&moved, 1), Some(30001));
    let again = give(&[fixed(1, 30002)], &moved.leases, 2);
    assert_eq!(again.refused[&key(1)], Refusal::TooManyPorts { most: 32 });
    let back = give(&[fixed(1, 30000)], &again.leases, 3);
    assert_eq!(port(&back, 1), Some(30000), "its own port is still its own");
    let late = give(&[fixed(1, 30002)], &again.leases, 101);
    assert_eq!(port(&late, 1), Some(30002));
}

#[test]
fn a_port_that_one_task_names_twice_is_not_kept_from_others() {
    let twice = [0, 1].map(|name| Wish {
        key: named(1, name),
        ..fixed(1, 30001)
    });
    let book = give(&twice, &none(), 0);
    assert!(book.leases.is_empty() && book.leases.resting().is_empty());
    assert_eq!(port(&give(&[fixed(2, 30001)], &book.leases, 1), 2), Some(30001));
}

#[test]
fn two_tasks_that_name_the_same_ports_do_not_exhaust_the_range() {
    let wide = rules(30000, 30099);
    let mut leases = none();
    for round in 0..20u16 {
        let both = [1, 2].into_iter().flat_map(|task| {
            (0..10u8).map(move |name| Wish {
                key: named(task, name),
                ..fixed(task, 30000 + (round * 10 + u16::from(name)) % 100)
            })
        });
        let all: Vec<Wish> = both.chain([wish(3)]).collect();
        let book = allocate(&all, &leases, &wide, &BTreeSet::new(), at(i64::from(round)));
        assert!(port(&book, 3).is_some(), "round {round}");
        leases = book.leases;
    }
    assert!(leases.resting().len() <= 40, "{} ports rest", leases.resting().len());
    assert!(port(&allocate(&[wish(4)], &leases, &wide, &BTreeSet::new(), at(21)), 4).is_some());
}

/// Whatever one task may wish in a round.
fn greedy() -> impl Strategy<Value = Vec<Wish>> {
    let port = || proptest::option::weighted(0.4, 29_999..30_101u16);
    proptest::collection::btree_map(0..60u8, (port(), any::<bool>(), port()), 0..40).prop_map(|wishes| {
        let wish = |(name, (hint, rests_on_hint, fixed))| Wish {
            key: named(1, name),
            hint,
            rests_on_hint,
            fixed,
            ..wish(1)
        };
        wishes.into_iter().map(wish).collect()
    })
}

proptest! {
    #[test]
    fn no_task_exhausts_the_range_whatever_it_wishes(
        steps in proptest::collection::vec((greedy(), proptest::collection::btree_set(30_000..30_100u16, 0..3), 0..30i64), 1..15),
    ) {
        let rules = rules(30_000, 30_099);
        let (mut leases, mut now) = (none(), 0);
        for (wishes, blocked, wait) in steps {
            now += wait;
            let book = allocate(&wishes, &leases, &rules, &blocked, at(now));
            let kept = book.leases.len() + book.leases.resting().len();
            prop_assert!(kept <= 32, "{kept} ports are kept for one task");
            let more: Vec<Wish> = wishes.into_iter().chain([wish(2)]).collect();
            let other = allocate(&more, &leases, &rules, &blocked, at(now));
            prop_assert!(port(&other, 2).is_some(), "{:?}", other.refused.get(&key(2)));
            leases = book.leases;
        }
    }
}

/// A small world, so that ports are scarce and claimed often.
fn any_wishes() -> impl Strategy<Value = Vec<Wish>> {
    let port = || proptest::option::weighted(0.4, 29_999..30_005u16);
    proptest::collection::btree_map(0..7u64, (port(), any::<bool>(), port()), 0..7).prop_map(|wishes| {
        let wish = |(number, (hint, rests_on_hint, fixed))| Wish {
            hint,
            rests_on_hint,
            fixed,
            ..wish(number)
        };
        wishes.into_iter().map(wish).collect()
    })
}

proptest! {
    #[test]
    fn no_step_displaces_shares_or_invents_a_port(
        steps in proptest::collection::vec((any_wishes(), proptest::collection::btree_set(30_000..30_004u16, 0..2), 1..80i64), 1..12),
    ) {
        let rules = rules(30_000, 30_003);
        let (mut leases, mut now) = (none(), 0);
        for (wishes, blocked, wait) in steps {
            now += wait;
            let book = allocate(&wishes, &leases, &rules, &blocked, at(now));
            let mut holders = BTreeMap::new();
            for lease in book.leases.iter() {
                prop_assert!(rules.range.contains(lease.port));
                prop_assert_eq!(holders.insert(lease.port, &lease.key), None, "a port has one holder");
                prop_assert_eq!(book.leases.holder(lease.port), Some(&lease.key));
            }
            for wish in &wishes {
                let lease = book.leases.of(&wish.key);
                let is_refused = book.refused.contains_key(&wish.key);
                prop_assert!(is_refused || lease.is_some_and(|lease| lease.cooling_until.is_none()), "a wish is answered");
                if let (Some(fixed), Some(lease), false) = (wish.fixed, lease, is_refused) {
                    prop_assert_eq!(lease.port, fixed);
                }
                if let (Some(lease), false) = (lease, is_refused) {
                    prop_assert!(!blocked.contains(&lease.port));
                }
                // Same endpoint, same port, whatever it and others claim.
                let before = leases.of(&wish.key).filter(|before| !blocked.contains(&before.port));
                if let Some(before) = before.filter(|before| wish.fixed.is_none_or(|fixed| fixed == before.port)) {
                    prop_assert_eq!(lease.map(|lease| lease.port), Some(before.port));
                }
            }
            for before in leases.iter() {
                let is_there = wishes.iter().any(|wish| wish.key == before.key);
                let is_cool = before.cooling_until.is_some_and(|until| until <= at(now));
                if !is_there && !is_cool {
                    prop_assert_eq!(book.leases.holder(before.port), Some(&before.key), "nobody gets a port that cools");
                }
            }
            prop_assert!(book.refused.keys().all(|key| wishes.iter().any(|wish| wish.key == *key)));
            leases = book.leases;
        }
    }

    #[test]
    fn the_order_of_wishes_does_not_matter(wishes in any_wishes(), swaps in any::<u8>()) {
        let mut shuffled = wishes.clone();
        if !shuffled.is_empty() {
            let at = usize::from(swaps) % shuffled.len();
            shuffled.rotate_left(at);
        }
        prop_assert_eq!(give(&wishes, &none(), 0), give(&shuffled, &none(), 0));
    }

    #[test]
    fn leases_that_did_not_change_are_the_same_arc(wishes in any_wishes()) {
        let first = give(&wishes, &none(), 0);
        let again = give(&wishes, &first.leases, 1);
        prop_assert!(Arc::ptr_eq(&first.leases, &again.leases));
        prop_assert_eq!(first.refused.len(), again.refused.len());
    }
}
