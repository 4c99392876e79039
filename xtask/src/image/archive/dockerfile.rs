//! The Dockerfile, which people use who have docker, makes the same image as the archive.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use crate::image::{authorities, sources};

use super::{AUTHORITIES, USER, config, layer};

const DOCKERFILE: &str = include_str!("../../../../deploy/Dockerfile");
const IGNORED: &str = include_str!("../../../../deploy/Dockerfile.dockerignore");
const TOOLCHAIN: &str = include_str!("../../../../rust-toolchain.toml");

/// A file or directory of the image.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    mode: u32,
    owner: u32,
    /// As far as it does not depend on what is built.
    text: Option<String>,
}

/// What the archive's layer has.
fn archived() -> BTreeMap<String, Entry> {
    let layer = layer(b"", b"", b"");
    let mut entries = BTreeMap::new();
    let mut at = 0;
    while layer[at] != 0 {
        let field = |from: usize, to: usize| {
            let field = layer[at + from..at + to].split(|&byte| byte == 0).next();
            String::from_utf8(field.unwrap_or_default().to_vec()).expect("text")
        };
        let number = |from: usize, to: usize| u32::from_str_radix(&field(from, to), 8).expect("octal");
        let size = number(124, 136) as usize;
        let text = String::from_utf8(layer[at + 512..at + 512 + size].to_vec()).expect("text");
        let entry = Entry {
            mode: number(100, 108),
            owner: number(108, 116),
            text: (size > 0).then_some(text),
        };
        entries.insert(field(0, 100).trim_end_matches('/').to_owned(), entry);
        at += 512 + size.next_multiple_of(512);
    }
    entries
}

/// What the Dockerfile puts below `/image`.
fn written() -> BTreeMap<String, Entry> {
    let (_, run) = DOCKERFILE.split_once("\nRUN ").expect("a RUN");
    let (run, _) = run.split_once("\n\n").expect("its end");
    let mut entries = BTreeMap::new();
    for command in run.replace("\\\n", " ").split(" && ") {
        let command = command.trim();
        if let Some((what, path)) = command.split_once(" > /image/") {
            let text = what.strip_prefix("echo '").and_then(|rest| rest.strip_suffix('\''));
            let entry = Entry {
                mode: 0o644,
                owner: 0,
                text: text.map(|text| format!("{text}\n")),
            };
            entries.insert(path.to_owned(), entry);
        } else if let Some(arguments) = command.strip_prefix("install ") {
            install(arguments, &mut entries);
        }
    }
    entries
}

fn install(arguments: &str, entries: &mut BTreeMap<String, Entry>) {
    let (mut mode, mut owner) = (0o755, 0);
    let mut words = arguments.split_whitespace();
    while let Some(word) = words.next() {
        let mut next = || words.next().expect("the option's value");
        match word {
            "-d" | "-D" => {}
            "-m" => mode = u32::from_str_radix(next(), 8).expect("octal"),
            "-o" => owner = next().parse().expect("a number"),
            "-g" => assert_eq!(next(), owner.to_string(), "user and group have one number"),
            _ => {
                if let Some(path) = word.strip_prefix("/image/") {
                    let text = None;
                    entries.insert(path.to_owned(), Entry { mode, owner, text });
                }
            }
        }
    }
}

/// What stands behind an instruction of the last stage.
fn said(instruction: &str) -> &'static str {
    let (_, last) = DOCKERFILE.split_once("\nFROM scratch\n").expect("an empty base");
    let mut lines = last.lines().filter_map(|line| line.strip_prefix(instruction));
    let line = lines.next().expect("the instruction is there");
    assert_eq!(lines.next(), None, "{instruction} stands there twice");
    line.trim()
}

#[test]
fn the_dockerfile_puts_the_same_files_into_the_image() {
    let (archived, written) = (archived(), written());
    for (path, entry) in &written {
        assert_eq!(Some(entry), archived.get(path), "/{path}");
    }
    for path in archived.keys() {
        let within = format!("{path}/");
        let is_parent = written.keys().any(|other| other.starts_with(&within));
        assert!(
            is_parent || written.contains_key(path),
            "the Dockerfile does not make /{path}"
        );
    }
}

#[test]
fn the_dockerfile_says_the_same_of_the_image() {
    let told = &config("1.2.3", "")["config"];
    let words = |text: &str| -> Json { serde_json::from_str(text).expect("JSON") };
    assert_eq!(told["User"], said("USER"));
    assert_eq!(told["User"], format!("{USER}:{USER}"));
    assert_eq!(told["Env"], json!([said("ENV")]));
    assert_eq!(told["Entrypoint"], words(said("ENTRYPOINT")));
    assert_eq!(told["Cmd"], words(said("CMD")));
    let ports: serde_json::Map<_, _> = said("EXPOSE")
        .split(' ')
        .map(|port| (format!("{port}/tcp"), json!({})))
        .collect();
    assert_eq!(told["ExposedPorts"], Json::Object(ports));
}

#[test]
fn the_dockerfile_builds_with_the_pinned_toolchain_and_the_same_authorities() {
    let channel = TOOLCHAIN.lines().find_map(|line| line.strip_prefix("channel = "));
    let channel = channel.expect("a channel").trim_matches('"');
    for line in [
        format!("FROM rust:{channel}-bookworm AS build"),
        format!("ENV RUSTUP_TOOLCHAIN={channel}"),
    ] {
        assert!(DOCKERFILE.lines().any(|other| other == line), "no line is {line:?}");
    }
    let copy = format!(" cat {}/*.crt > /image/{AUTHORITIES} ", authorities::HOME);
    assert!(DOCKERFILE.contains(&copy), "{copy} is missing");
}

#[test]
fn docker_gets_every_file_that_the_image_is_made_of() {
    let given: Vec<&str> = IGNORED.lines().filter_map(|line| line.strip_prefix('!')).collect();
    for path in sources::BESIDES.iter().chain(&["crates", "xtask"]) {
        let top = path.split('/').next().unwrap_or_default();
        assert!(given.contains(&top), "{path} is kept from docker");
    }
}
