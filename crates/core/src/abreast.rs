//! Several lists, all sorted by task, read abreast from front to back: a look for each of thousands of tasks costs less than a search.

use crate::endpoint::TaskId;

/// What is left of a list that is read beside others.
pub(crate) struct Abreast<'l, T> {
    rest: &'l [T],
    task: fn(&T) -> TaskId,
}

impl<'l, T> Abreast<'l, T> {
    /// A list, sorted by what `task` tells.
    pub(crate) fn new(list: &'l [T], task: fn(&T) -> TaskId) -> Self {
        Self { rest: list, task }
    }

    /// All entries of this task. Ask in the order of tasks: what stands before is passed over for good.
    pub(crate) fn of(&mut self, id: TaskId) -> &'l [T] {
        let before = self.rest.iter().take_while(|entry| (self.task)(entry) < id).count();
        let (_, rest) = self.rest.split_at(before);
        let own = rest.iter().take_while(|entry| (self.task)(entry) == id).count();
        let (own, rest) = rest.split_at(own);
        self.rest = rest;
        own
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_task_has_its_entries_whatever_the_others_have() {
        let id = |digit: char| TaskId::parse(&digit.to_string().repeat(32)).expect("an id");
        let list = ['b', 'b', 'd', 'f'].map(|digit| (id(digit), digit));
        let mut abreast = Abreast::new(&list, |(task, _)| *task);
        let found = ['a', 'b', 'c', 'd', 'f', 'f'].map(|digit| abreast.of(id(digit)).len());
        assert_eq!(found, [0, 2, 0, 1, 1, 0]);
    }
}
