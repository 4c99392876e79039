//! Values of cookies with one name, of which the last counts first.

use std::fmt;

/// Of several cookies with one name this many are tried: cookies of other paths and hosts may share the name.
const TRIED: usize = 4;

/// The value of a cookie that may be a credential. `Debug` prints `***`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CookieValue<'h>(&'h str);

impl<'h> CookieValue<'h> {
    /// The text itself, for the one place that sends or compares it.
    pub fn reveal(self) -> &'h str {
        self.0
    }
}

impl fmt::Debug for CookieValue<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("***")
    }
}

/// At most four of them, the one that counts first in front.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Candidates<'h>([Option<CookieValue<'h>>; TRIED]);

impl<'h> Candidates<'h> {
    /// Takes a value that counts before all that were taken until now.
    pub(super) fn add(&mut self, value: &'h str) {
        self.0.rotate_right(1);
        if let Some(first) = self.0.first_mut() {
            *first = Some(CookieValue(value));
        }
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// In the order in which they count.
    pub fn iter(&self) -> impl Iterator<Item = CookieValue<'h>> {
        self.0.into_iter().flatten()
    }
}

impl<'h> IntoIterator for Candidates<'h> {
    type Item = CookieValue<'h>;
    type IntoIter = std::iter::Flatten<std::array::IntoIter<Option<CookieValue<'h>>, TRIED>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter().flatten()
    }
}
