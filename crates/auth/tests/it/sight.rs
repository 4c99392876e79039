//! What a user sees.

use std::sync::Arc;

use portico_core::{
    decision::Sight,
    principal::{Principal, User},
};
use tokio::task::JoinSet;

use crate::world::{World, bearer, task, until};

async fn alice(world: &World) -> Arc<User> {
    let headers = bearer(&world.server.mint("alice"));
    match world.identify(&headers).await.unwrap().principal {
        Principal::User(user) => user,
        Principal::Nobody => panic!("nobody"),
    }
}

fn asked(world: &World) -> Vec<usize> {
    world.server.script().sights.clone()
}

#[tokio::test]
async fn clearml_says_what_a_user_sees() {
    let world = World::new().await;
    let alice = alice(&world).await;
    world.server.show("alice", task(1));
    world.server.show("bob", task(2));
    assert_eq!(world.gatekeeper.sight(&alice, task(1)).await, Sight::Visible);
    assert_eq!(world.gatekeeper.sight(&alice, task(2)).await, Sight::Hidden);
}

#[tokio::test]
async fn many_at_once_ask_once() {
    let world = World::new().await;
    let alice = alice(&world).await;
    world.server.show("alice", task(1));
    let mut asking = JoinSet::new();
    for _ in 0..100 {
        let (gatekeeper, alice) = (world.gatekeeper.clone(), alice.clone());
        asking.spawn(async move { gatekeeper.sight(&alice, task(1)).await });
    }
    assert_eq!(asking.join_all().await, vec![Sight::Visible; 100]);
    assert_eq!(asked(&world), [1]);
}

#[tokio::test]
async fn a_list_is_one_question_about_what_is_not_known() {
    let world = World::new().await;
    let alice = alice(&world).await;
    for number in [1, 3, 5] {
        world.server.show("alice", task(number));
    }
    assert_eq!(world.gatekeeper.sight(&alice, task(5)).await, Sight::Visible);
    let tasks: Vec<_> = (1..=5).map(task).collect();
    let seen = world.gatekeeper.sights(&alice, &tasks).await;
    let expected = [
        Sight::Visible,
        Sight::Hidden,
        Sight::Visible,
        Sight::Hidden,
        Sight::Visible,
    ];
    assert_eq!(seen, expected);
    assert_eq!(asked(&world), [1, 4]);
}

#[tokio::test]
async fn an_answer_is_refreshed_in_passing_and_awaited_after_a_minute() {
    let world = World::new().await;
    let alice = alice(&world).await;
    world.server.show("alice", task(1));
    let sight = async || world.gatekeeper.sight(&alice, task(1)).await;
    assert_eq!(sight().await, Sight::Visible);
    world.secs(29);
    assert_eq!(sight().await, Sight::Visible);
    assert_eq!(asked(&world), [1]);
    world.server.script().visible.clear();
    world.secs(1);
    assert_eq!(sight().await, Sight::Visible, "served while it is asked again");
    until(|| asked(&world).len() == 2).await;
    assert_eq!(sight().await, Sight::Hidden);

    world.server.show("alice", task(1));
    world.secs(4);
    assert_eq!(sight().await, Sight::Hidden);
    world.secs(1);
    assert_eq!(sight().await, Sight::Visible, "a no is believed for 5 s");
    world.server.script().visible.clear();
    world.secs(60);
    assert_eq!(sight().await, Sight::Hidden, "after a minute nothing is served unasked");
}

#[tokio::test]
async fn only_an_answer_replaces_an_answer() {
    let world = World::new().await;
    let alice = alice(&world).await;
    world.server.show("alice", task(1));
    assert_eq!(world.gatekeeper.sight(&alice, task(1)).await, Sight::Visible);
    world.away(true);
    world.server.script().visible.clear();
    for _ in 0..59 {
        world.secs(60);
        assert_eq!(world.gatekeeper.sight(&alice, task(1)).await, Sight::Visible);
    }
    assert_eq!(world.gatekeeper.sight(&alice, task(2)).await, Sight::Unavailable);
    world.secs(60);
    assert_eq!(world.gatekeeper.sight(&alice, task(1)).await, Sight::Unavailable);
    world.away(false);
    world.secs(5);
    assert_eq!(world.gatekeeper.sight(&alice, task(1)).await, Sight::Hidden);
}
