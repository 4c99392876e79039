//! `browser_endpoint`.

use axum::http::StatusCode;

use crate::{
    browser::Browser,
    world::{ROUTER, World, task_id},
};

async fn led(query: &str) -> Result<String, StatusCode> {
    let world = World::new();
    let page = Browser::default()
        .get(&world, &format!("{ROUTER}/_gateway/open?{query}"))
        .await;
    if page.status == StatusCode::SEE_OTHER {
        Ok(page.location().to_owned())
    } else {
        Err(page.status)
    }
}

#[tokio::test]
async fn it_leads_to_the_endpoint_whether_that_exists_or_not() {
    let id = task_id(1);
    for (query, to) in [
        (format!("router=main-router&task={id}"), format!("/service/{id}/")),
        (format!("task={id}"), format!("/service/{id}/")),
        (
            format!("router=main-router&task={id}&endpoint=ui"),
            format!("/service/{id}__ui/"),
        ),
        (
            format!("task={id}&path=/lab/tree/a%20b%3Fx=%C3%A9"),
            format!("/service/{id}/lab/tree/a%20b?x=%C3%A9"),
        ),
        (format!("task={id}&path=lab"), format!("/service/{id}/lab")),
    ] {
        assert_eq!(led(&query).await, Ok(to), "{query}");
    }
    let world = World::new();
    let url = world.state.site.browser_url(id, None);
    let page = Browser::default().get(&world, &url).await;
    assert_eq!(page.location(), format!("/service/{id}/"), "what is published works");
}

#[tokio::test]
async fn it_leads_nowhere_else() {
    let id = task_id(1);
    let other = task_id(2);
    for query in [
        String::new(),
        "task=x".into(),
        format!("router=other-router&task={id}"),
        format!("task={id}&endpoint=UI"),
        format!("task={id}&endpoint=a/b"),
        format!("task={id}&path=/../{other}/"),
        format!("task={id}&path=..%2F{other}"),
        format!("task={id}&path=%2e%2e/{other}/"),
        format!("task={id}&path=a%5C..%5Cb"),
        format!("task={id}&task={other}"),
    ] {
        assert_eq!(led(&query).await, Err(StatusCode::NOT_FOUND), "{query}");
    }
    for (path, rest) in [
        ("//evil.example.com", "/evil.example.com"),
        ("https://evil.example.com", "https://evil.example.com"),
    ] {
        let to = led(&format!("task={id}&path={path}")).await;
        assert_eq!(
            to,
            Ok(format!("/service/{id}/{rest}")),
            "below the endpoint it is only a path"
        );
    }
}
