//! The image as an archive of docker's.

use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

use crate::image::tar::Tar;

/// The user and group that Portico runs as.
const USER: u32 = 65532;
/// Where the authorities lie that rustls looks for.
const AUTHORITIES: &str = "etc/ssl/certs/ca-certificates.crt";

/// The archive of an image `portico:<version>`.
pub(super) fn docker(version: &str, program: &[u8], authorities: &[u8], license: &[u8]) -> anyhow::Result<Vec<u8>> {
    let layer = layer(program, authorities, license);
    let layer_digest = digest(&layer);
    let config = serde_json::to_vec(&config(version, &layer_digest))?;
    let config_name = format!("{}.json", digest(&config));
    let layer_name = format!("{layer_digest}/layer.tar");
    let manifest = json!([{
        "Config": config_name,
        "RepoTags": [format!("portico:{version}")],
        "Layers": [layer_name],
    }]);
    let mut archive = Tar::default();
    archive.file(&config_name, 0o644, &config);
    archive.directory(&layer_digest, 0o755, 0);
    archive.file(&layer_name, 0o644, &layer);
    archive.file("manifest.json", 0o644, &serde_json::to_vec(&manifest)?);
    Ok(archive.finish())
}

/// The only layer: the program, and what it looks for.
fn layer(program: &[u8], authorities: &[u8], license: &[u8]) -> Vec<u8> {
    let mut layer = Tar::default();
    for name in ["etc", "etc/portico", "etc/ssl", "etc/ssl/certs"] {
        layer.directory(name, 0o755, 0);
    }
    layer.file(
        "etc/passwd",
        0o644,
        format!("portico:x:{USER}:{USER}::/var/lib/portico:/\n").as_bytes(),
    );
    layer.file("etc/group", 0o644, format!("portico:x:{USER}:\n").as_bytes());
    layer.file(AUTHORITIES, 0o644, authorities);
    layer.directory("run", 0o755, 0);
    layer.directory("run/portico", 0o750, USER);
    layer.directory("tmp", 0o1777, 0);
    for name in ["usr", "usr/bin", "usr/share", "usr/share/doc", "usr/share/doc/portico"] {
        layer.directory(name, 0o755, 0);
    }
    layer.file("usr/bin/portico", 0o755, program);
    layer.file("usr/share/doc/portico/LICENSE", 0o644, license);
    layer.directory("var", 0o755, 0);
    layer.directory("var/lib", 0o755, 0);
    layer.directory("var/lib/portico", 0o750, USER);
    layer.finish()
}

fn config(version: &str, layer_digest: &str) -> Json {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    // The same sources make the same image, so it has no date.
    let created = "1970-01-01T00:00:00Z";
    json!({
        "architecture": architecture,
        "os": "linux",
        "created": created,
        "config": {
            "User": format!("{USER}:{USER}"),
            "Env": ["PATH=/usr/bin"],
            "Entrypoint": ["/usr/bin/portico"],
            "Cmd": ["serve"],
            "WorkingDir": "/",
            "ExposedPorts": {"8080/tcp": {}, "8012/tcp": {}, "8013/tcp": {}},
            "Labels": {
                "org.opencontainers.image.title": "portico",
                "org.opencontainers.image.description": "An application gateway for ClearML",
                "org.opencontainers.image.version": version,
                "org.opencontainers.image.licenses": "Apache-2.0",
            },
        },
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{layer_digest}")]},
        "history": [{"created": created, "created_by": "cargo xtask image"}],
    })
}

fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[cfg(test)]
mod dockerfile;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// The files of an archive by their name; only what this module writes is understood.
    fn files(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut at = 0;
        while archive[at] != 0 {
            let text = |from: usize, to: usize| {
                let field = &archive[at + from..at + to];
                String::from_utf8(field.split(|&byte| byte == 0).next().unwrap_or_default().to_vec()).expect("text")
            };
            let size = usize::from_str_radix(&text(124, 136), 8).expect("a size");
            files.insert(text(0, 100), archive[at + 512..at + 512 + size].to_vec());
            at += 512 + size.next_multiple_of(512);
        }
        files
    }

    #[test]
    fn names_and_digests_agree() {
        let archive = files(&docker("1.2.3", b"program", b"authorities", b"license").expect("made"));
        let read = |name: &str| -> Json { serde_json::from_slice(&archive[name]).expect("JSON") };
        let manifest = &read("manifest.json")[0];
        assert_eq!(manifest["RepoTags"], json!(["portico:1.2.3"]));
        let config_name = manifest["Config"].as_str().expect("a name");
        assert_eq!(config_name, format!("{}.json", digest(&archive[config_name])));
        let layer = &archive[manifest["Layers"][0].as_str().expect("a name")];
        let config = read(config_name);
        assert_eq!(config["rootfs"]["diff_ids"][0], format!("sha256:{}", digest(layer)));
        assert_eq!(config["config"]["User"], "65532:65532");
        assert_eq!(files(layer)["usr/bin/portico"], b"program");
        assert_eq!(files(layer)[AUTHORITIES], b"authorities");
    }

    #[test]
    fn the_same_program_makes_the_same_image() {
        let make = || docker("1.2.3", b"program", b"authorities", b"license").expect("made");
        assert_eq!(make(), make());
    }
}
