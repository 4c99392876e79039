//! From what a pod is called to the task that runs in it. Pure.

use portico_core::endpoint::TaskId;

/// Digits of a rank at most: the agent takes longer ends of a name for something else (clearml-agent,
/// `pending_pods_daemon.py`).
const RANK_DIGITS: usize = 4;
/// Characters that Kubernetes puts behind the name of a job's pod.
const JOB_SUFFIX: usize = 5;

/// What a pod tells of itself.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Marks<'m> {
    /// Its name.
    pub(super) name: &'m str,
    /// Label `clearml-task-id`, which agents write since 4.0.
    pub(super) label: Option<&'m str>,
    /// Environment `CLEARML_WORKER_ID`: `<agent>:<task>`.
    pub(super) worker: Option<&'m str>,
}

/// The task and the rank. In order: the label, the name behind the prefix, the worker's id.
pub(super) fn identify(marks: Marks<'_>, prefix: &str) -> Option<(TaskId, u16)> {
    let by_name =
        || TaskId::parse(marks.name.strip_prefix(prefix)?.get(..32)?).filter(|_| is_whole(marks.name, prefix));
    let by_worker = || TaskId::parse(marks.worker?.rsplit(':').next()?);
    let task = marks
        .label
        .and_then(TaskId::parse)
        .or_else(by_name)
        .or_else(by_worker)?;
    Some((task, rank(marks.name, task)))
}

/// True if the id ends where it should: with the name, or at a dash.
fn is_whole(name: &str, prefix: &str) -> bool {
    let rest = name.get(prefix.len() + 32..);
    rest.is_some_and(|rest| rest.is_empty() || (rest.starts_with('-') && rest.len() > 1))
}

/// What stands behind the id in the name: nothing, a rank, a job's suffix, or both.
fn rank(name: &str, task: TaskId) -> u16 {
    let id = task.to_string();
    let Some(rest) = name.split_once(&id).and_then(|(_, rest)| rest.strip_prefix('-')) else {
        return 0;
    };
    let (first, behind) = rest.split_once('-').unwrap_or((rest, ""));
    let is_rank = !first.is_empty() && first.len() <= RANK_DIGITS && first.bytes().all(|byte| byte.is_ascii_digit());
    let is_alone = behind.is_empty() || behind.len() == JOB_SUFFIX;
    if is_rank && is_alone {
        first.parse().unwrap_or(0)
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "801f81e9e52641fda8dfd6c749a72ccd";
    const OTHER: &str = "00000000000000000000000000000001";

    fn found(name: &str, label: Option<&str>, worker: Option<&str>, prefix: &str) -> Option<(String, u16)> {
        identify(Marks { name, label, worker }, prefix).map(|(task, rank)| (task.to_string(), rank))
    }

    #[test]
    fn pods_of_all_agents_are_known() {
        let own = "clearml-id-";
        let worker = format!("vm:0:{ID}");
        let worker = Some(worker.as_str());
        for (what, name, label, worker, prefix, rank) in [
            ("1.x to 3.x", format!("clearml-id-{ID}"), None, worker, own, 0),
            (
                "4.0, with a label",
                format!("clearml-id-{ID}"),
                Some(ID),
                worker,
                own,
                0,
            ),
            ("a label alone", "anything".to_owned(), Some(ID), None, own, 0),
            (
                "the label before the name",
                format!("clearml-id-{OTHER}"),
                Some(ID),
                None,
                own,
                0,
            ),
            ("a job's pod", format!("clearml-id-{ID}-x7k2p"), None, worker, own, 0),
            (
                "a job's suffix of digits",
                format!("clearml-id-{ID}-24579"),
                None,
                worker,
                own,
                0,
            ),
            ("multi-node", format!("clearml-id-{ID}-3"), None, worker, own, 3),
            (
                "the highest rank",
                format!("clearml-id-{ID}-9999"),
                None,
                worker,
                own,
                9999,
            ),
            (
                "a job of a multi-node task",
                format!("clearml-id-{ID}-12-x7k2p"),
                None,
                worker,
                own,
                12,
            ),
            (
                "a customized prefix that we know",
                format!("gpu-{ID}-1"),
                None,
                None,
                "gpu-",
                1,
            ),
            (
                "a customized prefix that we do not know",
                format!("team-x-{ID}-2"),
                None,
                worker,
                own,
                2,
            ),
            (
                "any name, with a worker's id",
                "notebook-0".to_owned(),
                None,
                worker,
                own,
                0,
            ),
            (
                "a label that is none, and a name",
                format!("clearml-id-{ID}"),
                Some("x"),
                None,
                own,
                0,
            ),
        ] {
            assert_eq!(
                found(&name, label, worker, prefix),
                Some((ID.to_owned(), rank)),
                "{what}"
            );
        }
    }

    #[test]
    fn what_only_looks_like_a_task_is_none() {
        for name in [
            String::new(),
            "clearml-id-".to_owned(),
            format!("clearml-id-{}", &ID[1..]),
            format!("clearml-id-{ID}a"),
            format!("clearml-id-{ID}-"),
            format!("clearml-id-{}", ID.to_uppercase()),
            format!("other-{ID}"),
            "clearml-id-é01f81e9e52641fda8dfd6c749a72cc".to_owned(),
        ] {
            assert_eq!(
                found(&name, None, Some("worker-without-task"), "clearml-id-"),
                None,
                "{name}"
            );
        }
    }
}
