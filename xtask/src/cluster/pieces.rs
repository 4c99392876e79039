//! The programs that make a cluster, one pinned version each, built from source once into the cache.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use super::processes::output;
use crate::steps::Steps;
use crate::{debian, place};

/// A Go module and the programs of it that are needed.
pub(super) struct Piece {
    name: &'static str,
    pub(super) version: &'static str,
    module: &'static str,
    /// The program's name and its package.
    programs: &'static [(&'static str, &'static str)],
    /// Files of the module that are kept beside the programs.
    files: &'static [&'static str],
    /// The version of the modules that lie beside it in its own repository, which its `go.mod` replaces by their directories.
    staging: Option<&'static str>,
}

pub(super) const ETCD: Piece = Piece {
    name: "etcd",
    version: "3.6.6",
    module: "go.etcd.io/etcd/server/v3",
    programs: &[("etcd", "go.etcd.io/etcd/server/v3")],
    files: &[],
    staging: None,
};

pub(super) const KUBERNETES: Piece = Piece {
    name: "kubernetes",
    version: "1.34.2",
    module: "k8s.io/kubernetes",
    programs: &[
        ("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
        ("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
        ("kubelet", "k8s.io/kubernetes/cmd/kubelet"),
        (
            "kube-controller-manager",
            "k8s.io/kubernetes/cmd/kube-controller-manager",
        ),
        ("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler"),
        ("kube-proxy", "k8s.io/kubernetes/cmd/kube-proxy"),
    ],
    files: &[],
    staging: Some("0.34.2"),
};

/// The ingress controller, and how its makers install it, with the Gateway API.
pub(super) const CONTOUR: Piece = Piece {
    name: "contour",
    version: "1.33.8",
    module: "github.com/projectcontour/contour",
    programs: &[("contour", "github.com/projectcontour/contour/cmd/contour")],
    files: &["examples/render/contour-gateway.yaml"],
    staging: None,
};

/// Everything that is built.
pub(super) const ALL: [&Piece; 3] = [&ETCD, &KUBERNETES, &CONTOUR];

/// What comes from Debian: containers and their network; a registry and its clients; a file system for pods.
const PACKAGES: [&str; 13] = [
    "ca-certificates",
    "containerd",
    "runc",
    "containernetworking-plugins",
    "iptables",
    "conntrack",
    "iproute2",
    "openssl",
    "docker-registry",
    "skopeo",
    "apache2-utils",
    "curl",
    "mmdebstrap",
];

/// Installs the Debian packages that are missing.
pub(super) fn packages(steps: &mut Steps) -> anyhow::Result<()> {
    debian::install_packages(steps, &PACKAGES)
}

impl Piece {
    /// Builds what is missing. Takes minutes the first time.
    pub(super) fn install(&self, steps: &mut Steps) -> anyhow::Result<()> {
        let home = self.home()?;
        let is_missing = |name: &str| !home.join(name).exists();
        let programs: Vec<_> = self.programs.iter().filter(|(name, _)| is_missing(name)).collect();
        if programs.is_empty() && !self.files.iter().any(|path| is_missing(last(path))) {
            return Ok(());
        }
        let work = place::cache()?
            .join("build")
            .join(format!("go-{}-{}", self.name, self.version));
        fs::create_dir_all(&work).with_context(|| format!("cannot make {}", work.display()))?;
        fs::create_dir_all(&home).with_context(|| format!("cannot make {}", home.display()))?;
        steps.inspect(&format!("find {} {}", self.name, self.version), || {
            self.describe(&work, &home)
        })?;
        for (name, package) in programs {
            let fresh = home.join(format!("{name}.{}.new", std::process::id()));
            let mut build = go(&work)?;
            build
                .args(["build", "-trimpath", "-ldflags", "-s -w", "-o"])
                .arg(&fresh)
                .arg(package);
            steps.run(&format!("build {name} {}", self.version), &mut build)?;
            // A build that was ended by force leaves nothing that looks complete.
            fs::rename(&fresh, home.join(name)).with_context(|| format!("cannot keep {name}"))?;
        }
        Ok(())
    }

    /// Where one of its programs or files is.
    pub(super) fn program(&self, name: &str) -> anyhow::Result<PathBuf> {
        Ok(self.home()?.join(name))
    }

    fn home(&self) -> anyhow::Result<PathBuf> {
        Ok(place::cache()?.join(format!("{}-{}", self.name, self.version)))
    }

    /// Writes a module that requires this one, since `go install` refuses modules that replace others, and keeps its files.
    fn describe(&self, work: &Path, home: &Path) -> anyhow::Result<String> {
        let (module, version) = (self.module, self.version);
        let mut text = "module portico-cluster\n\ngo 1.24.0\n".to_owned();
        fs::write(work.join("go.mod"), &text).context("cannot write go.mod")?;
        let told = output(go(work)?.args(["mod", "download", "-json", &format!("{module}@v{version}")]))?;
        let told: serde_json::Value = serde_json::from_str(&told).context("go told of the module in another way")?;
        let place = |name: &str| told[name].as_str().context("go did not say where the module is");
        for path in self.files {
            let content =
                fs::read(Path::new(place("Dir")?).join(path)).with_context(|| format!("cannot read {path}"))?;
            fs::write(home.join(last(path)), content).with_context(|| format!("cannot keep {path}"))?;
        }
        write!(text, "\nrequire {module} v{version}\n")?;
        if let Some(staging) = self.staging {
            let own = fs::read_to_string(place("GoMod")?).context("cannot read the module's go.mod")?;
            let beside = own.lines().filter_map(|line| line.trim().split_once(" => ./staging/"));
            for (name, _) in beside {
                let name = name.trim_start_matches("replace ");
                writeln!(text, "replace {name} => {name} v{staging}")?;
            }
        }
        fs::write(work.join("go.mod"), text).context("cannot write go.mod")?;
        Ok(format!("{module} v{version}"))
    }
}

/// A file's name without its directories.
fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn go(work: &Path) -> anyhow::Result<Command> {
    if Command::new("go").arg("version").output().is_err() {
        bail!("the cluster's programs are built with Go, which is missing; please install Go 1.21 or newer");
    }
    let mut command = Command::new("go");
    command
        .current_dir(work)
        // Together with helm, which is made of much the same.
        .env("GOCACHE", place::cache()?.join("build/go"))
        .env("GOTOOLCHAIN", "auto")
        .env("CGO_ENABLED", "0")
        .env("GOFLAGS", "-mod=mod -buildvcs=false");
    Ok(command)
}
