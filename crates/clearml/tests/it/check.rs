//! Whose credential is this, and which tasks does this user see.

use std::{sync::Arc, time::Duration};

use portico_auth::check::{CheckError, ClearmlCredential, CredentialCheck, Visibility};
use portico_core::{
    principal::{CompanyId, Method, User, UserId},
    secret::Secret,
};
use portico_emulator::{DEFAULT_COMPANY, Faults, GUEST_COMPANY, NewTask};

use crate::bench::{Bench, key_of, now_of, task_id};

fn token(bench: &Bench, login: &str) -> ClearmlCredential {
    ClearmlCredential::Token(Secret::new(bench.emulator().token(login).unwrap()))
}

fn user(bench: &Bench, login: &str, token: String) -> User {
    let actor = bench.emulator().actor(login).unwrap();
    User {
        id: UserId::new(actor.id.as_str()),
        company: CompanyId::new(actor.company.as_str()),
        name: Arc::from(actor.name.as_str()),
        is_administrator: false,
        method: Method::Bearer,
        session: None,
        expires: None,
        token: Secret::new(token),
    }
}

#[tokio::test]
async fn a_token_says_whose_it_is() {
    let bench = Bench::new().await;
    let verified = bench.clearml.check(&token(&bench, "alice"), None).await.unwrap();
    let alice = bench.emulator().actor("alice").unwrap();
    assert_eq!(verified.user.as_str(), alice.id);
    assert_eq!(&*verified.name, alice.name);
    assert_eq!(verified.company.as_str(), DEFAULT_COMPANY);
    assert!(!verified.is_administrator);
    let days = verified.expires.unwrap().since(now_of(bench.emulator())).as_secs() / 86_400;
    assert!((29..=30).contains(&days), "{days}");
}

#[tokio::test]
async fn another_company_is_told_as_it_is() {
    let bench = Bench::new().await;
    let verified = bench.clearml.check(&token(&bench, "carol"), None).await.unwrap();
    assert_eq!(verified.company.as_str(), GUEST_COMPANY);
}

#[tokio::test]
async fn passwords_and_keys_become_tokens_of_the_wanted_length() {
    let bench = Bench::new().await;
    let alice = key_of(bench.emulator(), "alice");
    for credential in [
        ClearmlCredential::Password {
            user: "alice".into(),
            password: Secret::new("alice-pw"),
        },
        ClearmlCredential::KeyPair {
            key: alice.key,
            secret: alice.secret,
        },
        token(&bench, "alice"),
    ] {
        let lifetime = Duration::from_mins(10);
        let verified = bench.clearml.check(&credential, Some(lifetime)).await.unwrap();
        let left = verified.expires.unwrap().since(now_of(bench.emulator()));
        assert!(
            left <= lifetime + Duration::from_secs(1) && left > lifetime / 2,
            "{credential:?}: {left:?}"
        );
        bench
            .clearml
            .check(&ClearmlCredential::Token(verified.token), None)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_guest_logs_in_by_password() {
    let bench = Bench::new().await;
    let guest = ClearmlCredential::Password {
        user: "guest".into(),
        password: Secret::new("guest"),
    };
    assert_eq!(
        bench.clearml.check(&guest, None).await.unwrap().company.as_str(),
        GUEST_COMPANY
    );
}

#[tokio::test]
async fn a_service_identity_has_no_profile_and_is_an_administrator() {
    let bench = Bench::new().await;
    for login in ["admin", "system"] {
        let verified = bench.clearml.check(&token(&bench, login), None).await.unwrap();
        assert!(verified.is_administrator, "{login}");
        assert_eq!(verified.user.as_str(), bench.emulator().actor(login).unwrap().id);
    }
}

#[tokio::test]
async fn what_the_server_rejects_is_rejected() {
    let bench = Bench::new().await;
    let old = bench.emulator().token_for("alice", -10).unwrap();
    for credential in [
        ClearmlCredential::Token(Secret::new("garbage")),
        ClearmlCredential::Token(Secret::new("line\nbreak")),
        ClearmlCredential::Token(Secret::new(old)),
        ClearmlCredential::Password {
            user: "alice".into(),
            password: Secret::new("wrong"),
        },
        ClearmlCredential::Password {
            user: "nobody".into(),
            password: Secret::new("x"),
        },
        ClearmlCredential::KeyPair {
            key: "A".repeat(30),
            secret: Secret::new("x"),
        },
    ] {
        assert_eq!(
            bench.clearml.check(&credential, None).await,
            Err(CheckError::Rejected),
            "{credential:?}"
        );
    }
}

#[tokio::test]
async fn the_token_of_a_deleted_user_is_rejected() {
    let bench = Bench::new().await;
    let bob = token(&bench, "bob");
    bench.clearml.check(&bob, None).await.unwrap();
    bench.emulator().delete_user("bob");
    assert_eq!(bench.clearml.check(&bob, None).await, Err(CheckError::Rejected));
}

#[tokio::test]
async fn a_server_that_cannot_be_asked_is_no_rejection() {
    let bench = Bench::new().await;
    let alice = token(&bench, "alice");
    for faults in [
        Faults {
            unreachable: true,
            ..Faults::default()
        },
        Faults {
            status: Some(500),
            ..Faults::default()
        },
        Faults {
            status: Some(503),
            ..Faults::default()
        },
        Faults {
            html: true,
            ..Faults::default()
        },
        Faults {
            wrong_company: true,
            ..Faults::default()
        },
    ] {
        bench.faults(faults.clone());
        let checked = bench.clearml.check(&alice, None).await;
        assert!(
            matches!(checked, Err(CheckError::Unavailable(_))),
            "{faults:?}: {checked:?}"
        );
    }
}

#[tokio::test]
async fn users_see_the_tasks_of_their_company_only() {
    let bench = Bench::new().await;
    let ids: Vec<_> = ["alice", "carol"]
        .map(|owner| {
            bench.emulator().create_task(NewTask {
                user: owner.into(),
                ..NewTask::default()
            })
        })
        .iter()
        .map(|id| task_id(id))
        .collect();
    let missing = task_id(&"0".repeat(32));
    let asked = [ids[0], ids[1], missing];
    for (login, expected) in [("alice", vec![ids[0]]), ("bob", vec![ids[0]]), ("carol", vec![ids[1]])] {
        let user = user(&bench, login, bench.emulator().token(login).unwrap());
        assert_eq!(bench.clearml.visible(&user, &asked).await.unwrap(), expected, "{login}");
    }
}

#[tokio::test]
async fn hidden_tasks_are_visible_to_who_may_see_them() {
    let bench = Bench::new().await;
    let hidden = NewTask {
        system_tags: vec!["hidden".into()],
        ..NewTask::default()
    };
    let id = task_id(&bench.emulator().create_task(hidden));
    let bob = user(&bench, "bob", bench.emulator().token("bob").unwrap());
    assert_eq!(bench.clearml.visible(&bob, &[id]).await.unwrap(), [id]);
}

#[tokio::test]
async fn a_thousand_tasks_are_asked_for_in_chunks() {
    let bench = Bench::new().await;
    let create = |_| task_id(&bench.emulator().create_task(NewTask::default()));
    let ids: Vec<_> = (0..1001).map(create).collect();
    let bob = user(&bench, "bob", bench.emulator().token("bob").unwrap());
    assert_eq!(bench.clearml.visible(&bob, &ids).await.unwrap().len(), 1001);
    assert_eq!(bench.calls("tasks.get_all_ex"), 3);
}

#[tokio::test]
async fn a_token_that_ended_sees_nothing() {
    let bench = Bench::new().await;
    let id = task_id(&bench.emulator().create_task(NewTask::default()));
    let alice = user(&bench, "alice", bench.emulator().token_for("alice", -10).unwrap());
    assert_eq!(bench.clearml.visible(&alice, &[id]).await.unwrap(), []);
}

#[tokio::test]
async fn no_answer_is_not_taken_for_a_no() {
    let bench = Bench::new().await;
    let id = task_id(&bench.emulator().create_task(NewTask::default()));
    let alice = user(&bench, "alice", bench.emulator().token("alice").unwrap());
    for faults in [
        Faults {
            unreachable: true,
            ..Faults::default()
        },
        Faults {
            status: Some(500),
            ..Faults::default()
        },
        Faults {
            html: true,
            ..Faults::default()
        },
    ] {
        bench.faults(faults.clone());
        assert!(bench.clearml.visible(&alice, &[id]).await.is_err(), "{faults:?}");
    }
}
