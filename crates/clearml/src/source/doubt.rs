//! When it is believed that tasks are no more. A server that restarts, or lies, may leave them out of an answer.

use std::fmt;

use portico_core::endpoint::TaskId;

/// Tasks that an answer left out, until further answers agree.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Doubt {
    asked: Vec<TaskId>,
    missing: Vec<TaskId>,
    /// How many further answers agreed.
    agreed: u32,
}

/// What an answer means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing is missing.
    Clear,
    /// These are no more.
    Gone(Vec<TaskId>),
    /// Ask again.
    Doubtful(Doubt),
}

impl Doubt {
    /// Judges an answer that left out `missing` of `asked`. One further answer must agree; two if more than half are missing.
    pub(super) fn judge(before: Option<Self>, asked: Vec<TaskId>, missing: Vec<TaskId>) -> Verdict {
        if missing.is_empty() {
            return Verdict::Clear;
        }
        let agreed = match before {
            Some(before) if before.missing == missing => before.agreed + 1,
            _ => 0,
        };
        let doubt = Self { asked, missing, agreed };
        if agreed >= if doubt.is_grave() { 2 } else { 1 } {
            Verdict::Gone(doubt.missing)
        } else {
            Verdict::Doubtful(doubt)
        }
    }

    /// The tasks to ask for again.
    pub(super) fn asked(&self) -> &[TaskId] {
        &self.asked
    }

    /// More than half of the tasks are missing.
    pub(super) fn is_grave(&self) -> bool {
        self.missing.len() * 2 > self.asked.len()
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "it lacks {} of {} known tasks; two further reads must agree",
            self.missing.len(),
            self.asked.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(count: u8) -> Vec<TaskId> {
        (0..count)
            .map(|at| TaskId::parse(&format!("{at:032x}")).unwrap())
            .collect()
    }

    /// How many answers in a row it takes until `missing` of `asked` are believed to be gone.
    fn answers_until_gone(asked: u8, missing: u8) -> usize {
        let mut before = None;
        for answers in 1.. {
            match Doubt::judge(before.take(), ids(asked), ids(missing)) {
                Verdict::Gone(gone) => {
                    assert_eq!(gone, ids(missing));
                    return answers;
                }
                Verdict::Doubtful(doubt) => before = Some(doubt),
                Verdict::Clear => panic!("something is missing"),
            }
        }
        unreachable!()
    }

    #[test]
    fn more_than_half_is_believed_when_two_further_answers_agree() {
        assert_eq!(answers_until_gone(10, 6), 3);
        assert_eq!(answers_until_gone(10, 10), 3);
        assert_eq!(answers_until_gone(1, 1), 3);
        assert_eq!(answers_until_gone(10, 5), 2);
        assert_eq!(answers_until_gone(10, 1), 2);
    }

    #[test]
    fn answers_that_differ_do_not_agree() {
        let Verdict::Doubtful(first) = Doubt::judge(None, ids(10), ids(8)) else {
            panic!("doubtful")
        };
        let Verdict::Doubtful(second) = Doubt::judge(Some(first), ids(10), ids(7)) else {
            panic!("doubtful")
        };
        let Verdict::Doubtful(third) = Doubt::judge(Some(second), ids(10), ids(8)) else {
            panic!("doubtful")
        };
        assert_eq!(third.agreed, 0);
        assert_eq!(Doubt::judge(Some(third), ids(10), Vec::new()), Verdict::Clear);
    }
}
