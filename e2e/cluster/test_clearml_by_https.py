"""A ClearML server at `https://api.…` whose certificate a company's own authority has signed: who trusts it serves, by each way to say so,
and who does not says why not."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
import yaml
from authority import AUTHORITY, visit
from engineer import Engineer
from kubernetes_world import NODE, ROOT, merge, until
from world.pages import commands

UPGRADE = commands("docs/how-to/install.md")[7]
SECOND = ROOT / "charts/portico/ci/guide-node-port-values.yaml"
PEM = AUTHORITY.read_text() if AUTHORITY.exists() else ""
# What each release says of the certificate.
SAID = {
    "extra": {"customCertificates": {"extraCerts": [{"alias": "company", "pem": PEM}]}},
    "override": {"customCertificates": {"overrideCaCertificatesCrt": PEM}},
    "map": {"customCertificates": {"existingConfigMap": "company", "existingConfigMapKey": "company.pem"}},
    "unchecked": {"clearml": {"sslVerify": False}, "customCertificates": {}},
    "nothing": {"customCertificates": {}},
}
PORTS = {name: 30350 + number for number, name in enumerate(SAID)}
SERVE = [name for name in SAID if name != "nothing"]


def url(release):
    """Where visitors find it."""
    return f"http://{NODE}:{PORTS[release]}"


@pytest.fixture(scope="module")
def engineer(cluster, registry, tmp_path_factory):
    """An engineer who has installed all of them side by side, for a task of the namespace."""
    with Engineer(cluster, "guide-server", tmp_path_factory.mktemp("server")) as engineer:
        engineer.log_in()
        (engineer.directory / "company.pem").write_text(PEM)
        engineer.type("kubectl -n workloads create configmap company --from-file=company.pem")
        engineer.task = cluster.asking(7000)
        cluster.pod(engineer.namespace, engineer.task)
        with ThreadPoolExecutor(len(SAID)) as pool:
            engineer.notes = dict(zip(SAID, pool.map(lambda name: install(engineer, name), SAID), strict=True))
        yield engineer
        engineer.type(f"helm uninstall {' '.join(SAID)} -n workloads --ignore-not-found")


def install(engineer, release):
    """The guide's second values under another release's name, and what that one says; returns what helm tells."""
    values = yaml.safe_load(SECOND.read_text())
    del values["tcpSession"]
    few = {"resources": {"requests": {"cpu": "10m"}}, "shutdown": {"delaySeconds": 0}}
    merge(values, few | {"externalURL": url(release)} | SAID[release])
    (engineer.directory / f"{release}.yaml").write_text(json.dumps(engineer.here(values)))
    return engineer.type(UPGRADE.replace(" main ", f" {release} ").replace("values.yaml", f"{release}.yaml"))


@pytest.mark.parametrize("release", SERVE)
def test_a_gateway_that_trusts_the_servers_certificate_serves(engineer, release):
    engineer.type(f"kubectl -n workloads rollout status deployment/{release}-portico --timeout=2m")
    key = engineer.cluster.key("alice")
    until(lambda: visit(f"{url(release)}/service/{engineer.task}/debug.ping", key) == 200, "the pod's application answers")
    is_warned = "The ClearML server's certificate is not checked" in engineer.notes[release]
    assert is_warned == (release == "unchecked")
    # It is found by name, too.
    assert "name is not known here" not in log(engineer, release)


def log(engineer, release):
    """What its pod wrote, if it has begun."""
    return engineer.type(f"kubectl -n workloads logs deployment/{release}-portico 2>&1; true")


def test_a_gateway_that_does_not_trust_it_says_so_and_is_not_ready(engineer):
    told = until(lambda: (text := log(engineer, "nothing")) and "invalid peer certificate" in text and text, "the log says why")
    (line,) = {line[line.index("cannot reach") :] for line in told.splitlines() if "cannot reach" in line}
    assert line.startswith("cannot reach https://api.clearml.example.com/"), line
    assert "if your own authority has signed it, name it in clearml.ca_bundle (in the chart: customCertificates)" in line
    # It is tried several times a second, and told when it begins.
    assert told.count("invalid peer certificate") < 5, told
    # Whoever looks into the pod is told the same.
    status = engineer.type("kubectl -n workloads exec deployment/nothing-portico -- portico status; true")
    assert "invalid peer certificate" in status and "no, waiting for" in status
    deployment = engineer.cluster.get(engineer.namespace, "deployment", "nothing-portico")
    assert not deployment["status"].get("readyReplicas")
    assert visit(f"{url('nothing')}/service/{engineer.task}/debug.ping", engineer.cluster.key("alice")) is None
