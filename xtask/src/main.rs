//! `cargo xtask <command>`: the one list of what can be done with this project.
//!
//! One file for each command; a new command is a file, a line in [`Command`] and a line in [`main`].
#![expect(
    clippy::disallowed_macros,
    reason = "a program for the terminal: what it prints is its purpose"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "a program for the terminal has no other configuration than its environment"
)]

mod bench;
mod chart;
mod check;
mod cluster;
mod commands;
mod debian;
mod dev;
mod e2e;
mod image;
mod mutants;
mod place;
mod python;
mod setup;
mod steps;
mod tally;
mod test;
mod tools;

use std::process::ExitCode;

use clap::Parser;

/// The tasks of the project.
#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    about,
    disable_help_subcommand = true
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Build Portico and run it with everything it needs: emulated ClearML server, sample tasks, users
    Dev(dev::Arguments),
    /// Format, lints, imports and licenses, file sizes, documentation: everything that needs no run
    Check(check::Arguments),
    /// All tests: the workspace's, then the end-to-end ones
    Test(test::Arguments),
    /// The end-to-end tests alone: a real browser, the real ClearML SDK, real applications
    E2e(e2e::Arguments),
    /// A real Kubernetes on this machine, in a network of its own: `up`, `test`, `down`
    Cluster(cluster::Arguments),
    /// Install everything that the other commands need
    Setup(setup::Arguments),
    /// Change the decisions in every small way and show which changes no test notices
    Mutants(mutants::Arguments),
    /// Measure speed and memory, beside nginx where there is something to compare
    Bench(bench::Arguments),
    /// Build the image: a static Portico on an empty base
    Image(image::Arguments),
    /// Write the files of the Helm chart that are made from the list of its values
    Chart(chart::Arguments),
    /// The shell commands of README.md and docs/, for the tests that run them
    Commands(commands::Arguments),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Dev(arguments) => dev::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Test(arguments) => test::run(&arguments),
        Command::E2e(arguments) => e2e::run(&arguments),
        Command::Cluster(arguments) => cluster::run(&arguments),
        Command::Setup(arguments) => setup::run(&arguments),
        Command::Mutants(arguments) => mutants::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Image(arguments) => image::run(&arguments),
        Command::Chart(arguments) => chart::run(&arguments),
        Command::Commands(arguments) => commands::run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_list_of_commands_is_consistent() {
        super::Arguments::command().debug_assert();
    }
}
