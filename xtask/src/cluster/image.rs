//! Images from files, without a registry: a tar of one layer and what describes it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use super::node::ctr;
use super::place::Run;
use super::processes::output;
use crate::place;

/// A program that waits until it is told to end.
const WAITS: &str = "package main\n\nimport (\n\t\"os\"\n\t\"os/signal\"\n\t\"syscall\"\n)\n\nfunc main() {\n\tend := make(chan os.Signal, 1)\n\tsignal.Notify(end, syscall.SIGTERM, syscall.SIGINT)\n\t<-end\n}\n";

/// The image of a program that only waits. It holds a pod's network.
pub(super) fn pause(run: &Run, name: &str) -> anyhow::Result<PathBuf> {
    let home = place::cache()?.join("pause-1");
    let program = home.join("files/pause");
    if !program.exists() {
        fs::create_dir_all(home.join("files")).context("cannot make a directory")?;
        let source = home.join("main.go");
        fs::write(&source, WAITS).context("cannot write a program")?;
        let fresh = home.join("pause.new");
        let mut build = Command::new("go");
        build
            .env("CGO_ENABLED", "0")
            .args(["build", "-trimpath", "-ldflags", "-s -w", "-o"]);
        output(build.arg(&fresh).arg(&source))?;
        fs::rename(&fresh, &program).context("cannot keep the program")?;
    }
    of(
        run,
        name,
        &home.join("files"),
        &serde_json::json!({"Entrypoint": ["/pause"]}),
    )
}

/// The image of a program of this workspace, as it was built, with the libraries that it is linked to.
pub(super) fn program(run: &Run, name: &str, program: &Path) -> anyhow::Result<PathBuf> {
    let files = own(run, "files");
    let _ = fs::remove_dir_all(&files);
    let linked = output(Command::new("ldd").arg(program))?;
    let libraries = linked.split_whitespace().filter(|word| word.starts_with('/'));
    for library in libraries {
        let copy = files.join(library.trim_start_matches('/'));
        fs::create_dir_all(copy.parent().context("a library lies somewhere")?).context("cannot make a directory")?;
        fs::copy(library, &copy).with_context(|| format!("cannot copy {library}"))?;
    }
    // As the real image does: clients load the system's certificates at their start.
    let authorities = "etc/ssl/certs/ca-certificates.crt";
    fs::create_dir_all(files.join("etc/ssl/certs")).context("cannot make a directory")?;
    fs::copy(Path::new("/").join(authorities), files.join(authorities)).context("cannot copy the certificates")?;
    let file = program.file_name().context("a program has a name")?;
    fs::create_dir_all(files.join("usr/bin")).context("cannot make a directory")?;
    output(
        Command::new("strip")
            .arg("-o")
            .arg(files.join("usr/bin").join(file))
            .arg(program),
    )?;
    let start = format!("/usr/bin/{}", file.display());
    let config = serde_json::json!({"Entrypoint": [start], "User": "65532:65532"});
    let archive = of(run, name, &files, &config)?;
    fs::remove_dir_all(&files).context("cannot tidy up")?;
    Ok(archive)
}

/// An image of the files below a directory, for [`load`].
pub(super) fn of(run: &Run, name: &str, files: &Path, config: &serde_json::Value) -> anyhow::Result<PathBuf> {
    let work = own(run, "image");
    let _ = fs::remove_dir_all(&work);
    fs::create_dir_all(&work).context("cannot make a directory")?;
    let mut tar = Command::new("tar");
    tar.args([
        "--create",
        "--numeric-owner",
        "--owner=0",
        "--group=0",
        "--sort=name",
        "--file",
    ]);
    output(tar.arg(work.join("layer.tar")).arg("--directory").arg(files).arg("."))?;
    let told = output(Command::new("sha256sum").arg(work.join("layer.tar")))?;
    let digest = told.split(' ').next().context("no digest")?;
    let described = serde_json::json!({
        "architecture": "amd64", "os": "linux", "config": config,
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{digest}")]},
    });
    let manifest = serde_json::json!([{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]);
    fs::write(work.join("config.json"), described.to_string()).context("cannot describe the image")?;
    fs::write(work.join("manifest.json"), manifest.to_string()).context("cannot describe the image")?;
    let archive = work.join("image.tar");
    let mut tar = Command::new("tar");
    tar.arg("--create")
        .arg("--file")
        .arg(&archive)
        .arg("--directory")
        .arg(&work);
    output(tar.args(["manifest.json", "config.json", "layer.tar"]))?;
    Ok(archive)
}

/// Gives an image to the node, and removes the archive.
pub(super) fn load(run: &Run, archive: &Path) -> anyhow::Result<()> {
    output(ctr(run).args(["images", "import", "--no-unpack"]).arg(archive))?;
    fs::remove_dir_all(archive.parent().context("an archive lies somewhere")?).context("cannot tidy up")
}

/// A place that another run of this program at the same time does not use.
fn own(run: &Run, name: &str) -> PathBuf {
    run.root().join(format!("{name}-{}", std::process::id()))
}
