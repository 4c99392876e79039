//! `cargo xtask chart`: writes those files of `charts/portico` that are made from the list of its values.

pub(crate) mod helm;
mod readme;
mod schema;
mod values;
mod yaml;

use std::fs;

use anyhow::{Context, bail};

use crate::place;

const HOME: &str = "charts/portico";

/// Arguments of `cargo xtask chart`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Write nothing; fail if a file is not what it should be
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    if arguments.check {
        println!("{}", inspect()?);
        return Ok(());
    }
    for (path, text) in made() {
        let path = place::root().join(HOME).join(path);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Whether the files are what the list of values makes of them.
fn inspect() -> anyhow::Result<String> {
    let made = made();
    let mut stale = Vec::new();
    for (path, text) in &made {
        let found = fs::read_to_string(place::root().join(HOME).join(path));
        if found.ok().as_deref() != Some(text) {
            stale.push(format!("{HOME}/{path} is not what `cargo xtask chart` makes"));
        }
    }
    if stale.is_empty() {
        return Ok(format!("{} files of {HOME} are as the list of values says", made.len()));
    }
    bail!("{}", stale.join("\n"))
}

/// The files by their path in the chart.
fn made() -> [(&'static str, String); 4] {
    [
        ("values.yaml", yaml::values()),
        ("values.schema.json", schema::schema()),
        ("files/values.json", schema::names()),
        ("README.md", readme::readme()),
    ]
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::{image, place};

    #[test]
    fn the_chart_installs_the_image_of_its_own_version() {
        let chart = fs::read_to_string(place::root().join(super::HOME).join("Chart.yaml")).expect("Chart.yaml");
        let version = image::version();
        assert!(
            chart.contains(&format!("\nversion: {version}\nappVersion: \"{version}\"\n")),
            "{chart}"
        );
    }

    #[test]
    fn the_charts_files_are_what_the_list_of_values_makes() {
        super::inspect().expect("run `cargo xtask chart`");
    }
}
