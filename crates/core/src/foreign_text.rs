//! What others have written, made fit to be kept, logged and shown. None of it is escaped.

/// At most 64 characters, for what quotes a mistake.
pub fn cut(text: &str) -> String {
    text.chars().take(64).collect()
}

/// One line of at most 256 characters, for the log and for what is told of an error.
pub fn one_line(text: &str) -> String {
    text.chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .take(256)
        .collect()
}

/// Text for people: at most `max` characters, and none that is invisible or changes the direction of those
/// around it.
pub fn plain(text: &str, max: usize) -> String {
    let is_trick = |letter: char| {
        letter.is_control()
            || matches!(letter, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    let mut letters = text.chars();
    let plain = |letter| if is_trick(letter) { '\u{fffd}' } else { letter };
    let mut out: String = letters.by_ref().take(max).map(plain).collect();
    if letters.next().is_some() {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_one_and_short() {
        assert_eq!(one_line("one\ntwo\r\u{1b}[31mthree"), "one two  [31mthree");
        assert_eq!(one_line(&"é".repeat(300)), "é".repeat(256));
    }

    #[test]
    fn what_people_read_has_no_hidden_letters_and_shows_where_it_was_cut() {
        assert_eq!(plain("a\u{202e}b\u{200b}c\n", 10), "a\u{fffd}b\u{fffd}c\u{fffd}");
        assert_eq!(plain("abcdef", 3), "abc…");
        assert_eq!(plain("abc", 3), "abc");
    }
}
