//! `docs/reference/commands.md` from the command line's own help.

use std::fmt::Write as _;

const HEAD: &str = "\
# Commands

<!-- Made from crates/portico/src/commands.rs; see crates/portico/src/reference.rs. -->

`portico serve` is the gateway. The other commands read the configuration, or ask the running gateway by its control socket
(`control.socket`), which only the gateway's own user and root may open: `docker exec` and `kubectl exec` work.

Exit codes: 0 if all is well (the configuration is good, the gateway is fine, the endpoint opens), 1 if not, 2 if the command line is not
understood.

`portico explain` goes the way of a visitor's request and says where it ends: ClearML, the task, what it asked for, the route, the access
rule, the application's port. Without `--user` or `--cookie-file` it goes that way for the task's owner. `portico status --json` and
`portico explain --json` are for programs.
";

#[test]
fn the_reference_of_the_commands_is_up_to_date() {
    let mut page = String::from(HEAD);
    // What an option of the build adds is not in what is shipped.
    let shipped = |command: &&mut clap::Command| !matches!(command.get_name(), "dev" | "help");
    let mut line = crate::commands::line();
    line.build();
    for command in line.get_subcommands_mut().filter(shipped) {
        describe(command, &mut page);
    }
    super::keep("commands.md", &page);
}

fn describe(command: &mut clap::Command, page: &mut String) {
    if command.has_subcommands() {
        for inner in command.get_subcommands_mut().filter(|inner| inner.get_name() != "help") {
            describe(inner, page);
        }
        return;
    }
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name()).to_owned();
    let help = command.render_help().to_string();
    let _ = write!(page, "\n## {name}\n\n```text\n{}\n```\n", help.trim_end());
}
