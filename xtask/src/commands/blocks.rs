//! The fenced blocks of a Markdown page.

/// A block between two fences.
pub(crate) struct Block<'a> {
    /// What stands behind the opening fence.
    pub(crate) language: &'a str,
    /// The line of the opening fence, from 1.
    pub(crate) line: usize,
    /// Without the indentation of the fence.
    pub(crate) lines: Vec<&'a str>,
}

impl Block<'_> {
    /// Whether somebody would type this into a shell.
    pub(crate) fn is_for_a_shell(&self) -> bool {
        let is_shell = ["sh", "bash", "shell", "zsh", "shell-session"].contains(&self.language);
        is_shell || self.lines.iter().any(|line| line.starts_with("$ "))
    }
}

/// The blocks of a page in their order. A block that is never closed ends with the page.
pub(crate) fn of(text: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut lines = text.lines().zip(1..);
    while let Some((opening, line)) = lines.next() {
        let Some((fence, language)) = fence(opening) else {
            continue;
        };
        let indentation = opening.len() - opening.trim_start().len();
        let inside = lines
            .by_ref()
            .map(|(line, _)| line)
            .take_while(|line| line.trim() != fence);
        let lines = inside.map(|line| without(line, indentation)).collect();
        blocks.push(Block { language, line, lines });
    }
    blocks
}

fn fence(line: &str) -> Option<(&str, &str)> {
    let line = line.trim();
    let mark = line.chars().next().filter(|mark| ['`', '~'].contains(mark))?;
    let language = line.trim_start_matches(mark);
    let fence = line.strip_suffix(language)?;
    (fence.len() >= 3).then_some((fence, language.trim()))
}

/// Takes away up to `indentation` blanks.
fn without(line: &str, indentation: usize) -> &str {
    let blanks = line.len() - line.trim_start_matches(' ').len();
    line.get(blanks.min(indentation)..).unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longer_fence_holds_a_shorter_one() {
        let blocks = of("````md\n```console\n$ ls\n```\n````\n```yaml\na: 1\n```\n");
        let seen: Vec<_> = blocks
            .iter()
            .map(|block| (block.language, block.line, block.lines.len()))
            .collect();
        assert_eq!(seen, [("md", 1, 3), ("yaml", 6, 1)]);
    }

    #[test]
    fn a_block_in_a_list_loses_its_indentation() {
        let blocks = of("1. do\n   ```console\n   $ ls\n     x\n   ```\n");
        assert_eq!(blocks[0].lines, ["$ ls", "  x"]);
    }

    #[test]
    fn an_open_block_ends_with_the_page() {
        assert_eq!(of("```console\n$ ls").len(), 1);
    }
}
