//! The YAML file: only keys that exist, in the sections where they belong.

use std::{io::Read as _, os::unix::fs::PermissionsExt as _, path::Path, sync::Arc};

use serde_yaml_ng::{Mapping, Value as Yaml};

use super::{
    Place,
    keys::{self, KEYS},
    lines::line_of,
    said::{Said, Value, nearest},
};

/// No configuration is this long; a wrong path might be.
const LONGEST: u64 = 1 << 20;

pub(super) fn read(path: &Path, said: &mut Said) {
    let path: Arc<Path> = path.into();
    let whole = Place::File {
        path: path.clone(),
        key: String::new(),
        line: None,
    };
    let text = match text_of(&path) {
        Ok(text) => text,
        Err(why) => {
            return said.mistake(
                whole,
                why,
                "give the path of a YAML file that the gateway's user may read",
            );
        }
    };
    match serde_yaml_ng::from_str(&text) {
        Ok(Yaml::Null) => {}
        Ok(Yaml::Mapping(content)) => {
            let file = File { path, text };
            file.section("", content, said);
            file.warn_of_readers(said);
        }
        Ok(_) => said.mistake(
            whole,
            "is not a mapping",
            "write sections with keys, such as `gateway:`, `  url: …`",
        ),
        Err(error) => said.mistake(whole, format!("is not YAML: {error}"), "correct the file"),
    }
}

fn text_of(path: &Path) -> Result<String, String> {
    let open = || -> std::io::Result<String> {
        let mut text = String::new();
        std::fs::File::open(path)?.take(LONGEST + 1).read_to_string(&mut text)?;
        Ok(text)
    };
    let text = open().map_err(|error| format!("cannot be read: {error}"))?;
    if text.len() as u64 > LONGEST {
        return Err("is longer than 1 MiB".into());
    }
    Ok(text)
}

struct File {
    path: Arc<Path>,
    text: String,
}

impl File {
    fn place(&self, key: &str) -> Place {
        Place::File {
            path: self.path.clone(),
            key: key.to_owned(),
            line: line_of(&self.text, key),
        }
    }

    fn section(&self, prefix: &str, content: Mapping, said: &mut Said) {
        for (name, value) in content {
            let Some(name) = name.as_str() else {
                said.mistake(
                    self.place(prefix),
                    format!("{name:?} is no key"),
                    "write keys as plain words",
                );
                continue;
            };
            let path = if prefix.is_empty() {
                name.to_owned()
            } else {
                format!("{prefix}.{name}")
            };
            match (keys::path(&path), value) {
                // Null is what is left of a key whose value was commented out.
                (Some(_), Yaml::Null) => {}
                (Some(key), value) => said.say(key, Value::Yaml(value), self.place(&path)),
                (None, value) if keys::is_section(&path) => match value {
                    Yaml::Null => {}
                    Yaml::Mapping(content) => self.section(&path, content, said),
                    _ => said.mistake(
                        self.place(&path),
                        "is a section, not a value",
                        "put its keys below it, indented",
                    ),
                },
                (None, _) => {
                    let remedy = match nearest(&path, keys::paths().chain(keys::sections())) {
                        Some(known) => format!("did you mean {known}?"),
                        None => "docs/reference/configuration.md lists the keys".into(),
                    };
                    said.mistake(self.place(&path), "is not a key", remedy);
                }
            }
        }
    }

    fn warn_of_readers(&self, said: &mut Said) {
        let secrets = KEYS.iter().filter(|key| key.is_secret && said.get(key.path).is_some());
        let Some(secret) = secrets.map(|key| key.path).next() else {
            return;
        };
        let mode = std::fs::metadata(&self.path).map_or(0, |file| file.permissions().mode());
        if mode & 0o004 != 0 {
            said.notice(
                self.place(secret),
                format!(
                    "everybody on this machine may read the file and this secret in it; use {secret}_file, or chmod 600"
                ),
            );
        }
    }
}
