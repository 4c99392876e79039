//! The page with the visitor's endpoints.

use std::fmt::Write as _;

use axum::{
    Extension,
    body::Body,
    http::{Response, StatusCode},
};
use portico_core::{endpoint::TaskId, site::percent};
use serde::Deserialize;

use crate::{
    asked::Asked,
    fields::Fields,
    listing::{self, Listing, PAGE, Places, Query, cut},
    pages::{EndpointsPage, Group, Notice},
    place::Place,
    respond,
};

/// A search longer than this is cut, in characters.
const SEARCH_MAX: usize = 200;

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Wish {
    /// Words to search for.
    q: Option<String>,
    /// Rows that earlier pages showed.
    from: Option<String>,
}

/// `GET /`, `GET /_gateway/endpoints`: the list, or the way to the log-in.
pub(crate) async fn show(Extension(asked): Extension<Asked>, Fields(wish): Fields<Wish>) -> Response<Body> {
    let site = &asked.state.site;
    if asked.place == Place::Gateway && site.console.is_some() {
        return respond::redirect(&asked.home());
    }
    let entered = match asked.enter().await {
        Ok(entered) => entered,
        Err(refusal) => return asked.refuse(&refusal),
    };
    let Some(user) = entered.user() else {
        let to = format!("{}?return_to={}", asked.place.log_in(), percent(&asked.home()));
        return entered.finish(respond::redirect(&to));
    };
    let search: String = wish.q.unwrap_or_default().trim().chars().take(SEARCH_MAX).collect();
    let query = Query {
        words: search.to_lowercase().split_whitespace().map(str::to_owned).collect(),
        skip: wish.from.and_then(|from| from.parse().ok()).unwrap_or(0),
    };
    let places = Places {
        site,
        web_url: asked.state.web_url.as_deref(),
    };
    let table = asked.state.table.get();
    let gatekeeper = &asked.state.gatekeeper;
    let sights = async |tasks: Vec<TaskId>| gatekeeper.sights(user, &tasks).await;
    let listing = listing::list(&table, entered.principal(), &query, &places, sights).await;

    let mut frame = asked.frame();
    frame.visitor = Some(cut(&user.name));
    let home = asked.home();
    let page = EndpointsPage {
        frame,
        notes: asked.state.notes.get().to_vec(),
        problem: listing.is_incomplete.then(incomplete),
        has_search: !search.is_empty() || query.skip > 0 || listing.rows.len() > 5,
        is_later: query.skip > 0,
        clearml_url: asked.state.web_url.as_deref().map(str::to_owned),
        first: (query.skip > 0).then(|| link(&home, &search, 0)),
        next: listing.has_more.then(|| link(&home, &search, query.skip + PAGE)),
        page_size: PAGE,
        query: search,
        groups: groups(listing),
    };
    entered.finish(respond::page(site, StatusCode::OK, &page))
}

fn groups(listing: Listing) -> Vec<Group> {
    let (own, others): (Vec<_>, Vec<_>) = listing.rows.into_iter().partition(|row| row.is_own);
    let groups = [
        Group {
            id: "own",
            title: "Yours",
            rows: own,
        },
        Group {
            id: "others",
            title: "Open to you",
            rows: others,
        },
    ];
    groups.into_iter().filter(|group| !group.rows.is_empty()).collect()
}

fn incomplete() -> Notice {
    Notice {
        kind: "bad",
        title: "This list may be incomplete".into(),
        text: "The ClearML server cannot be asked right now which of your colleagues' tasks you may see. What you have open goes on."
            .into(),
    }
}

fn link(home: &str, search: &str, from: usize) -> String {
    let mut link = home.to_owned();
    let mut mark = '?';
    if !search.is_empty() {
        let _ = write!(link, "{mark}q={}", percent(search));
        mark = '&';
    }
    if from > 0 {
        let _ = write!(link, "{mark}from={from}");
    }
    link
}

/// `GET /` on the applications' origin: leads to the list.
pub(crate) async fn lead(Extension(asked): Extension<Asked>) -> Response<Body> {
    respond::redirect(&asked.home())
}
