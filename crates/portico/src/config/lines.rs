//! Where in a YAML text a key stands. The parser does not tell, and "line 12" saves a search.

/// The line (from 1) of a dotted key path, for texts in block style. `None` where the text is written otherwise.
pub(super) fn line_of(text: &str, path: &str) -> Option<usize> {
    let mut open: Vec<(usize, &str)> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let content = line.trim_start();
        let indent = line.len() - content.len();
        let Some((name, _)) = content.split_once(':') else {
            continue;
        };
        if name.starts_with(['#', '-']) {
            continue;
        }
        open.retain(|(outer, _)| *outer < indent);
        open.push((indent, name.trim().trim_matches(['"', '\''])));
        if open.iter().map(|(_, name)| *name).eq(path.split('.')) {
            return Some(number + 1);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::line_of;

    #[test]
    fn keys_are_found_in_block_style() {
        let text = "# gateway:\ngateway:\n  name: a\n\nhttp:\n  listen:\n    - 0.0.0.0:80\n  \"threads\": 2\nname: x\n";
        assert_eq!(line_of(text, "gateway"), Some(2));
        assert_eq!(line_of(text, "gateway.name"), Some(3));
        assert_eq!(line_of(text, "http.threads"), Some(8));
        assert_eq!(line_of(text, "name"), Some(9));
        assert_eq!(line_of(text, "http.name"), None);
        assert_eq!(line_of("http: {threads: 2}", "http.threads"), None);
    }
}
