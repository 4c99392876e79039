//! The commands that ask the running gateway.

use std::{io::Read as _, path::Path, process::ExitCode};

use anyhow::Context as _;
use portico_core::secret::Secret;

use super::{AskExplain, AskStatus, Socket, place, say, verdict};
use crate::control::{Reply, Request, ask};

/// No browser sends more.
const LONGEST: u64 = 64 << 10;

pub(super) fn status(asked: &AskStatus) -> anyhow::Result<ExitCode> {
    tell(&ask(&place::socket(&asked.socket), &Request::Status)?, asked.json)
}

pub(super) fn health(socket: &Socket) -> anyhow::Result<ExitCode> {
    tell(&ask(&place::socket(socket), &Request::Health)?, false)
}

pub(super) fn revoke(user: String, socket: &Socket) -> anyhow::Result<ExitCode> {
    tell(&ask(&place::socket(socket), &Request::RevokeUser { user })?, false)
}

pub(super) fn explain(asked: AskExplain) -> anyhow::Result<ExitCode> {
    let cookies = asked.cookie_file.as_deref().map(cookies).transpose()?;
    let request = Request::Explain {
        asked: asked.asked,
        user: asked.user,
        cookies,
    };
    tell(&ask(&place::socket(&asked.socket), &request)?, asked.json)
}

fn tell(reply: &Reply, is_json: bool) -> anyhow::Result<ExitCode> {
    if is_json {
        say(&format!("{}\n", serde_json::to_string_pretty(&reply.report)?));
    } else {
        say(&reply.text);
    }
    Ok(verdict(reply.is_good))
}

/// A `Cookie` header as it was copied from a browser: with or without its name, or as cookies in lines.
fn cookies(path: &Path) -> anyhow::Result<Secret> {
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().take(LONGEST).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(LONGEST).read_to_string(&mut text))
    };
    read.with_context(|| format!("reading the cookies from {}", path.display()))?;
    Ok(Secret::new(header(&text)))
}

fn header(text: &str) -> String {
    let lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("# "));
    let cookie = |line: &str| {
        let fields: Vec<&str> = line.trim_start_matches("#HttpOnly_").split('\t').collect();
        // curl's cookie jar: domain, subdomains, path, secure, expires, name, value.
        if let [_, _, _, _, _, name, value] = fields[..] {
            return format!("{name}={value}");
        }
        let (name, value) = line.split_once(':').unwrap_or(("", line));
        let is_header = name.eq_ignore_ascii_case("cookie");
        (if is_header { value } else { line })
            .trim()
            .trim_end_matches(';')
            .to_owned()
    };
    let cookies: Vec<String> = lines.map(cookie).collect();
    cookies.join("; ")
}

#[cfg(test)]
mod tests {
    use super::header;

    #[test]
    fn cookies_are_read_in_the_forms_that_people_copy() {
        assert_eq!(header("Cookie: a=1; b=2\n"), "a=1; b=2");
        assert_eq!(header("cookie:a=1"), "a=1");
        assert_eq!(header("a=1;\nb=2:3\n"), "a=1; b=2:3");
        let jar = "# Netscape HTTP Cookie File\n\n#HttpOnly_localhost\tFALSE\t/\tFALSE\t0\ta\t1\nlocalhost\tFALSE\t/\tFALSE\t0\tb\t2\n";
        assert_eq!(header(jar), "a=1; b=2");
    }
}
