//! Who is who, for the operator.

use portico_core::principal::UserId;
use portico_emulator::NewTask;

use crate::bench::{Bench, key_of, task_id};

#[tokio::test]
async fn users_are_found_by_id_and_by_name_in_the_own_company_only() {
    let bench = Bench::new().await;
    let alice = bench.emulator().actor("alice").unwrap().clone();
    for wanted in [&alice.id, &alice.name] {
        let found = bench.clearml.find_users(wanted).await.unwrap();
        assert_eq!(found.len(), 1, "{wanted}");
        assert_eq!(
            (found[0].id.as_str(), &*found[0].name),
            (alice.id.as_str(), alice.name.as_str())
        );
        assert_eq!(found[0].company.as_str(), alice.company);
    }
    let carol = bench.emulator().actor("carol").unwrap().clone();
    assert_eq!(bench.clearml.find_users(&carol.id).await.unwrap(), []);
    assert_eq!(bench.clearml.find_users("").await.unwrap(), []);
}

#[tokio::test]
async fn an_administrator_s_key_may_ask_on_behalf_of_others() {
    let bench = Bench::new().await;
    let id = task_id(&bench.emulator().create_task(NewTask::default()));
    let alice = UserId::new(bench.emulator().actor("alice").unwrap().id.as_str());
    assert_eq!(
        bench.clearml.visible_as(&alice, &[id]).await.unwrap(),
        None,
        "bob's key may not"
    );
    bench.keys.publish(key_of(bench.emulator(), "admin"));
    assert_eq!(bench.clearml.visible_as(&alice, &[id]).await.unwrap(), Some(vec![id]));
}
