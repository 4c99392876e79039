//! Keys and certificates: one authority, and a certificate for each of those who speak to each other.

use std::fmt::Write as _;
use std::process::Command;

use super::place::Run;
use super::processes::output;

/// Somebody who has a certificate.
pub(super) struct Party {
    /// The name of its files.
    pub(super) name: &'static str,
    /// Who it is, as Kubernetes reads it: groups and name.
    pub(super) subject: &'static str,
    /// Where it is reached, if it serves.
    pub(super) places: &'static str,
}

/// Those who are needed even without a node.
const ALWAYS: [Party; 3] = [
    Party {
        name: "kube-apiserver",
        subject: "/CN=kube-apiserver",
        places: "IP:127.0.0.1,IP:198.18.0.1,IP:198.18.2.1,DNS:kubernetes.default.svc",
    },
    Party {
        name: "kubelet-client",
        subject: "/O=system:masters/CN=kube-apiserver",
        places: "",
    },
    Party {
        name: "admin",
        subject: "/O=system:masters/CN=admin",
        places: "",
    },
];

/// What nobody guesses.
pub(super) fn random() -> anyhow::Result<String> {
    Ok(output(Command::new("openssl").args(["rand", "-hex", "24"]))?
        .trim()
        .to_owned())
}

/// Makes all keys and certificates.
pub(super) fn make<'a>(run: &Run, others: impl IntoIterator<Item = &'a Party>) -> anyhow::Result<()> {
    let mut authority =
        openssl("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=portico-cluster");
    authority
        .arg("-keyout")
        .arg(run.key("ca"))
        .arg("-out")
        .arg(run.certificate("ca"));
    output(&mut authority)?;
    let mut accounts = openssl("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048");
    output(accounts.arg("-out").arg(run.key("accounts")))?;
    let mut public = openssl("pkey -pubout");
    public
        .arg("-in")
        .arg(run.key("accounts"))
        .arg("-out")
        .arg(run.certificate("accounts"));
    output(&mut public)?;
    ALWAYS.iter().chain(others).try_for_each(|party| sign(run, party))
}

pub(super) fn sign(run: &Run, party: &Party) -> anyhow::Result<()> {
    let asked = run.root().join("trust").join(format!("{}.csr", party.name));
    let mut ask = openssl("req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes");
    ask.args(["-subj", party.subject])
        .arg("-keyout")
        .arg(run.key(party.name))
        .arg("-out")
        .arg(&asked);
    output(&mut ask)?;
    let mut purposes = "extendedKeyUsage=serverAuth,clientAuth\n".to_owned();
    if !party.places.is_empty() {
        writeln!(purposes, "subjectAltName={}", party.places)?;
    }
    let purposes = run.write(&format!("{}.ext", party.name), &purposes)?;
    let mut sign = openssl("x509 -req -days 30 -CAcreateserial");
    sign.arg("-in").arg(&asked).arg("-extfile").arg(purposes);
    sign.arg("-CA")
        .arg(run.certificate("ca"))
        .arg("-CAkey")
        .arg(run.key("ca"));
    output(sign.arg("-out").arg(run.certificate(party.name))).map(drop)
}

/// Writes the file with which somebody finds the API server.
pub(super) fn kubeconfig(run: &Run, name: &str, server: &str) -> anyhow::Result<()> {
    let (ca, certificate, key) = (run.certificate("ca"), run.certificate(name), run.key(name));
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: it\ncontexts:\n- name: it\n  context: {{cluster: it, user: it}}\nclusters:\n- name: it\n  \
         cluster: {{server: \"{server}\", certificate-authority: \"{}\"}}\nusers:\n- name: it\n  user: {{client-certificate: \"{}\", client-key: \"{}\"}}\n",
        ca.display(),
        certificate.display(),
        key.display()
    );
    run.write(&format!("{name}.kubeconfig"), &text).map(drop)
}

fn openssl(arguments: &str) -> Command {
    let mut command = Command::new("openssl");
    command.args(arguments.split(' '));
    command
}
