//! The command line.

mod ask;
mod check;
mod place;
mod serve;

use std::{
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand};

/// An open AI application gateway for ClearML.
#[derive(Debug, Parser)]
#[command(name = "portico", version, max_term_width = 110)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway.
    Serve(ConfigFile),
    /// Read the configuration and tell every mistake at once.
    CheckConfig(ConfigFile),
    /// Tell how the running gateway is.
    Status(AskStatus),
    /// Tell why an endpoint opens or does not.
    Explain(AskExplain),
    /// End sessions of visitors.
    #[command(subcommand)]
    Session(Session),
    /// Succeed if the running gateway is ready: for containers.
    Healthcheck(Socket),
    /// Try everything out: a ClearML server in memory, sample applications, a gateway.
    #[cfg(feature = "dev")]
    Dev(crate::dev::Arguments),
}

/// Which configuration.
#[derive(Args, Debug)]
#[expect(clippy::doc_markdown, reason = "help texts are shown as they are")]
struct ConfigFile {
    /// The YAML file; without it the one that PORTICO_CONFIG names, or /etc/portico/portico.yaml if it exists.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Which gateway.
#[derive(Args, Debug)]
struct Socket {
    /// The running gateway's control socket; without it the one of the configuration.
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    #[command(flatten)]
    file: ConfigFile,
}

#[derive(Args, Debug)]
struct AskStatus {
    /// Answer as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    socket: Socket,
}

#[derive(Args, Debug)]
struct AskExplain {
    /// A task's id, an endpoint's URL or path, or `host:port` of a TCP endpoint.
    #[arg(value_name = "TASK OR URL")]
    asked: String,
    /// For this ClearML user (id or name) instead of the task's owner.
    #[arg(long, value_name = "USER", conflicts_with = "cookie_file")]
    user: Option<String>,
    /// For whoever's browser sent these cookies: a file with the Cookie header; - reads it from standard input.
    #[arg(long, value_name = "FILE")]
    cookie_file: Option<PathBuf>,
    /// Answer as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    socket: Socket,
}

#[derive(Debug, Subcommand)]
enum Session {
    /// End all sessions that a user has now.
    Revoke {
        /// The user's ClearML id.
        #[arg(long, value_name = "ID")]
        user: String,
        #[command(flatten)]
        socket: Socket,
    },
}

/// Runs the command that the process was called with.
pub fn main() -> ExitCode {
    let outcome = match Line::parse().command {
        Command::Serve(file) => serve::serve(&file),
        Command::CheckConfig(file) => Ok(check::check(&file)),
        Command::Status(asked) => ask::status(&asked),
        Command::Explain(asked) => ask::explain(asked),
        Command::Session(Session::Revoke { user, socket }) => ask::revoke(user, &socket),
        Command::Healthcheck(socket) => ask::health(&socket),
        #[cfg(feature = "dev")]
        Command::Dev(arguments) => serve::runtime().and_then(|runtime| {
            runtime.block_on(crate::dev::run(&arguments))?;
            Ok(ExitCode::SUCCESS)
        }),
    };
    outcome.unwrap_or_else(|error| {
        complain(&format!("portico: {error:#}\n"));
        ExitCode::FAILURE
    })
}

/// The command line, for its reference.
#[cfg(test)]
pub(crate) fn line() -> clap::Command {
    <Line as clap::CommandFactory>::command()
}

/// To standard output. A reader that went away (`| head`) is no failure.
fn say(text: &str) {
    let _ = io::stdout().lock().write_all(text.as_bytes());
}

/// To standard error.
fn complain(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

fn verdict(is_good: bool) -> ExitCode {
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Line::command().debug_assert();
    }

    #[test]
    fn a_question_is_for_one_visitor() {
        let both = ["portico", "explain", "x", "--user", "bob", "--cookie-file", "-"];
        assert!(Line::try_parse_from(both).is_err());
        assert!(Line::try_parse_from(&both[..5]).is_ok());
    }
}
