//! `docs/reference/configuration.md` from the list of keys.

use std::fmt::Write as _;

use crate::config::{Fallback, IGNORED, KEYS, Key};

const HEAD: &str = "\
# Configuration

<!-- Made from crates/portico/src/config/keys.rs; see crates/portico/src/reference.rs. -->

Portico reads one YAML file and the environment over it. The file is the one given by `--config`, else the one named by the variable
`PORTICO_CONFIG`, else `/etc/portico/portico.yaml` if it exists. None is needed: four variables are enough.

```sh
ROUTER_URL=https://gateway.example.com
CLEARML_API_HOST=https://api.clearml.example.com
CLEARML_API_ACCESS_KEY=…
CLEARML_API_SECRET_KEY=…
```

`portico check-config` reads the same and reports every mistake at once, each with its place and with what to write instead. It also
tries whether the ports are free and the state can be kept.

* **Environment.** Each key has a variable `PORTICO__SECTION__KEY`: `http.listen` is `PORTICO__HTTP__LISTEN`. It comes before the file.
  The variables of the enterprise gateway are understood, too; where both are set, `PORTICO__…` comes first.
* Quotes around a variable's value are removed; an empty variable is one that is not set.
* **Lists** are YAML lists in the file; in the environment they are separated by spaces or commas. Names with spaces in them can be
  written as `[\"one name\", another]`. **Mappings** are written as YAML in the environment: `{demo: public}`.
* **Durations** have a unit: `500ms`, `30s`, `5m`, `1h`, `7d`. **Sizes**: `512B`, `64KiB`, `1MiB`. **Networks**: `10.0.0.0/8`, or a
  single address.
* **Secrets** can be files: `clearml.secret_key_file` (`PORTICO__CLEARML__SECRET_KEY_FILE`, `CLEARML_API_SECRET_KEY_FILE`). The files
  are looked at every few seconds; a changed secret is used without a restart.
* An unknown key in the file is a mistake. An unknown variable that begins with `PORTICO__` or `ROUTER__` is a notice, since the
  environment belongs to others as well.

```yaml
gateway:
  name: main-router
  url: https://gateway.example.com
console:
  url: https://console.gateway.example.com
clearml:
  api_host: https://api.clearml.example.com
  access_key_file: /run/secrets/clearml-access-key
  secret_key_file: /run/secrets/clearml-secret-key
discovery:
  queues: [gpu, cpu]
  networks: [10.20.0.0/16]
access:
  default: visible
  queues:
    demo: public
```

## Keys
";

const TAIL: &str = "
## Variables of the enterprise gateway that have no effect

They are accepted, so that a working set of variables need not be changed.

| variable | why |
|---|---|
";

fn page() -> String {
    let mut page = String::from(HEAD);
    let mut section = "";
    for key in KEYS {
        let own = key.path.split_once('.').map_or(key.path, |(section, _)| section);
        if own != section {
            section = own;
            let _ = write!(
                page,
                "\n### {section}\n\n| key | value | default | enterprise variable |\n|---|---|---|---|\n"
            );
        }
        row(&mut page, key);
    }
    page.push_str(TAIL);
    for ignored in IGNORED {
        let _ = writeln!(page, "| `{}` | {} |", ignored.name, ignored.about);
    }
    page
}

fn row(page: &mut String, key: &Key) {
    let fallback = match key.fallback {
        Fallback::Value(value) => format!("`{value}`"),
        Fallback::Words(words) => words.to_owned(),
        Fallback::Required => "**required**".to_owned(),
    };
    let variables: Vec<String> = key.variables.iter().map(|name| format!("`{name}`")).collect();
    let form = if key.is_secret {
        format!("{}; secret", key.form)
    } else {
        key.form.to_owned()
    };
    let _ = writeln!(
        page,
        "| `{}`<br>{} | {form} | {fallback} | {} |",
        key.path,
        key.about,
        variables.join("<br>")
    );
}

#[test]
fn the_reference_of_the_configuration_is_up_to_date() {
    super::keep("configuration.md", &page());
}

#[test]
fn the_example_of_the_reference_works() {
    let yaml = HEAD
        .split("```yaml\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .expect("an example");
    let directory = tempfile::tempdir().expect("a directory");
    let secret = directory.path().join("secret");
    std::fs::write(&secret, "secret").expect("write");
    let mut yaml = yaml.to_owned();
    for name in ["clearml-access-key", "clearml-secret-key"] {
        let file = directory.path().join(name);
        std::fs::write(&file, "secret").expect("write");
        yaml = yaml.replace(&format!("/run/secrets/{name}"), file.to_str().expect("a path"));
    }
    let path = directory.path().join("portico.yaml");
    std::fs::write(&path, yaml).expect("write");
    crate::config::load(Some(&path), []).expect("no mistakes");
}
