//! The running gateway's answers.

use portico_core::{Answer, principal::UserId};
use serde_json::json;

use super::{Answers, Reply, Request, status::Status};
use crate::{
    diagnose::look::{Question, explain},
    inside::Inside,
};

impl Answers for Inside {
    fn answer<'a>(&'a self, request: &'a Request) -> Answer<'a, Result<Reply, String>> {
        Box::pin(async move {
            match request {
                Request::Health => Ok(health(self)),
                Request::Status => {
                    let status = Status::of(self);
                    reply(status.is_good(), &status, status.text())
                }
                Request::Explain { asked, user, cookies } => {
                    let question = Question {
                        asked: asked.clone(),
                        user: user.clone(),
                        cookies: cookies.clone(),
                    };
                    let report = explain(self, &question).await.map_err(|error| error.to_string())?;
                    reply(report.is_open(), &report, report.text())
                }
                Request::RevokeUser { user } => {
                    self.log_in
                        .log_out_user(&UserId::new(user.as_str()), "revoked_by_operator")
                        .await;
                    let text = format!(
                        "no session of {user} from before now counts any longer; open exchanges are cut within 5 seconds\n"
                    );
                    Ok(Reply {
                        is_good: true,
                        report: json!({"revoked_user": user}),
                        text,
                    })
                }
            }
        })
    }
}

fn reply(is_good: bool, report: &impl serde::Serialize, text: String) -> Result<Reply, String> {
    let report = serde_json::to_value(report).map_err(|error| error.to_string())?;
    Ok(Reply { is_good, report, text })
}

fn health(inside: &Inside) -> Reply {
    let awaited = inside.readiness.awaited();
    let text = match &awaited[..] {
        [] => "ready\n".to_owned(),
        awaited => format!("not ready, waiting for: {}\n", awaited.join(", ")),
    };
    Reply {
        is_good: awaited.is_empty(),
        report: json!({"is_ready": awaited.is_empty(), "awaited": awaited}),
        text,
    }
}
