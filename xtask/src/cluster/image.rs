//! Images from files, without a registry: a tar of one layer and what describes it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use serde_json::{Value as Json, json};

use super::containers::ctr;
use super::place::Run;
use super::processes::output;
use crate::place;

/// A program that waits until it is told to end.
const WAITS: &str = "package main\n\nimport (\n\t\"os\"\n\t\"os/signal\"\n\t\"syscall\"\n)\n\nfunc main() {\n\tend := make(chan os.Signal, 1)\n\tsignal.Notify(end, syscall.SIGTERM, syscall.SIGINT)\n\t<-end\n}\n";

/// The image of a program that only waits. It holds a pod's network.
pub(super) fn pause(name: &str) -> anyhow::Result<PathBuf> {
    let home = place::cache()?.join("pause-1");
    let archive = home.join("pause.tar");
    if !archive.exists() {
        let program = home.join("pause");
        fs::create_dir_all(&home).context("cannot make a directory")?;
        let source = home.join("main.go");
        fs::write(&source, WAITS).context("cannot write a program")?;
        let mut build = Command::new("go");
        build
            .env("CGO_ENABLED", "0")
            .args(["build", "-trimpath", "-ldflags", "-s -w", "-o"]);
        output(build.arg(&program).arg(&source))?;
        of_program(name, &program, "pause", &json!({"Entrypoint": ["/pause"]}), &archive)?;
    }
    Ok(archive)
}

/// Makes the image of a program with the libraries that it is linked to and the certificates that clients load at their start.
pub(super) fn of_program(name: &str, program: &Path, at: &str, config: &Json, archive: &Path) -> anyhow::Result<()> {
    let files = archive.with_extension("files");
    let _ = fs::remove_dir_all(&files);
    let put = |from: &Path, to: &str| {
        let to = files.join(to.trim_start_matches('/'));
        fs::create_dir_all(to.parent().context("a file lies somewhere")?)?;
        fs::copy(from, &to).map(drop).context("cannot copy it")
    };
    // A static program has none, and `ldd` fails.
    let linked = output(Command::new("ldd").arg(program)).unwrap_or_default();
    let libraries = linked.split_whitespace().filter(|word| word.starts_with('/'));
    for library in libraries.chain([CERTIFICATES]) {
        put(Path::new(library), library).with_context(|| library.to_owned())?;
    }
    put(program, at).with_context(|| program.display().to_string())?;
    output(Command::new("strip").arg(files.join(at)))?;
    of_files(name, &files, config, archive)?;
    fs::remove_dir_all(&files).context("cannot tidy up")
}

const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Makes the image of the files below a directory.
pub(super) fn of_files(name: &str, files: &Path, config: &Json, archive: &Path) -> anyhow::Result<()> {
    let work = archive.with_extension("work");
    let _ = fs::remove_dir_all(&work);
    fs::create_dir_all(&work).context("cannot make a directory")?;
    let mut tar = Command::new("tar");
    tar.args(["--create", "--numeric-owner", "--owner=0", "--group=0", "--sort=name"]);
    tar.arg("--file").arg(work.join("layer.tar"));
    output(tar.arg("--directory").arg(files).arg("."))?;
    of_layer(name, &work, config, archive)?;
    fs::remove_dir_all(&work).context("cannot tidy up")
}

/// Makes the image of one layer, `layer.tar` in `work`. It is whole or not there.
pub(super) fn of_layer(name: &str, work: &Path, config: &Json, archive: &Path) -> anyhow::Result<()> {
    let told = output(Command::new("sha256sum").arg(work.join("layer.tar")))?;
    let digest = told.split(' ').next().context("no digest")?;
    let described = json!({
        "architecture": "amd64", "os": "linux", "config": config,
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{digest}")]},
    });
    let manifest = json!([{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]);
    fs::write(work.join("config.json"), described.to_string()).context("cannot describe the image")?;
    fs::write(work.join("manifest.json"), manifest.to_string()).context("cannot describe the image")?;
    let fresh = archive.with_extension(format!("{}.unfinished", std::process::id()));
    let mut tar = Command::new("tar");
    tar.arg("--create")
        .arg("--file")
        .arg(&fresh)
        .arg("--directory")
        .arg(work);
    output(tar.args(["manifest.json", "config.json", "layer.tar"]))?;
    fs::rename(&fresh, archive).context("cannot keep the image")
}

/// Gives an image to the node.
pub(super) fn load(run: &Run, archive: &Path) -> anyhow::Result<()> {
    output(ctr(run).args(["images", "import", "--no-unpack"]).arg(archive)).map(drop)
}
