"""Every file of charts/portico/ci is installed and taken away; and what people do with a release afterwards."""

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import httpx
import pytest
import yaml
from kubernetes_world import CLEARML, ROOT, until
from releases import CHART, IMAGE, Release, merged, values
from weather import RUN

FILES = sorted((ROOT / "charts/portico/ci").glob("*-values.yaml"))
NAMES = [path.name.removesuffix("-values.yaml") for path in FILES]
# Kinds that clusters of others have. What they mean is not asked here, only whether the objects can be made.
FOREIGN = {
    "servicemonitors.monitoring.coreos.com": ("ServiceMonitor", "v1"),
    "prometheusrules.monitoring.coreos.com": ("PrometheusRule", "v1"),
    "httproutes.gateway.networking.k8s.io": ("HTTPRoute", "v1"),
}


def resource(name, kind, version):
    """A definition of a kind, with any content."""
    plural, group = name.split(".", 1)
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    about = {"name": name}
    if group.endswith("k8s.io"):
        about["annotations"] = {"api-approved.kubernetes.io": "https://github.com/kubernetes-sigs/gateway-api"}
    spec = {
        "group": group,
        "scope": "Namespaced",
        "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
        "versions": [{"name": version, "served": True, "storage": True, "schema": schema}],
    }
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": about, "spec": spec}


@pytest.fixture(scope="module")
def kinds(cluster):
    """Kinds of other people's operators, as far as the cluster does not have them."""
    there = cluster.kubectl("get", "customresourcedefinitions", "-o", "name")
    made = [name for name in FOREIGN if name not in there]
    if made:
        cluster.apply(*(resource(name, *FOREIGN[name]) for name in made))
        cluster.kubectl("wait", "--for=condition=Established", "--timeout=60s", *(f"crd/{name}" for name in made))
    yield
    if made:
        cluster.kubectl("delete", "customresourcedefinitions", *made)


def place(cluster, name, number):
    """What of a file cannot be so here: addresses, keys, ports that others have. Everything else stays."""
    text = (ROOT / f"charts/portico/ci/{name}-values.yaml").read_text()
    # The ingress controller has such hosts already.
    given = yaml.safe_load(text.replace("gateway.example.com", f"{name}.example.net").replace("console.example.com", "console.example.net"))
    access, secret = cluster.key("admin")
    keys = [key for key in ("apiKey", "apiServerKey", "apiSecret", "apiServerSecret") if key in given["clearml"]]
    here = {
        "image": IMAGE | {"digest": ""},
        "clearml": {"apiServerUrlReference": CLEARML} | {key: access if key.endswith("Key") else secret for key in keys},
        "resources": {"requests": {"cpu": "10m"}},
        "shutdown": {"delaySeconds": 0},
    }
    if "workloadNamespace" in given:
        here["workloadNamespace"] = "values-tasks"
    first = 30260 + 4 * number
    for section in ("tcpSession", "streamSession"):
        if (given.get(section) or {}).get("portRange", {}).get("start"):
            here[section] = {"portRange": {"start": first, "end": first + 1}}
    if given.get("service", {}).get("type") == "NodePort":
        here["externalURL"] = given["externalURL"].replace("30080", str(first + 2))
        if "console" in given:
            here["console"] = {"url": given["console"]["url"].replace("30081", str(first + 3))}
    authority = (RUN / "trust/ca.crt").read_text()
    certificates = given.get("customCertificates", {})
    if "extraCerts" in certificates:
        here["customCertificates"] = {"extraCerts": [{"alias": "company", "pem": authority}]}
    if "overrideCaCertificatesCrt" in certificates:
        here["customCertificates"] = {"overrideCaCertificatesCrt": authority}
    return merged(given, here)


def things(cluster, *namespaces):
    """Everything that is in these namespaces, but for what Kubernetes itself notes."""
    kinds = "deployments,replicasets,pods,services,endpoints,endpointslices,secrets,configmaps,serviceaccounts,leases,roles,rolebindings"
    kinds += ",networkpolicies,ingresses,servicemonitors,prometheusrules,httproutes,jobs,persistentvolumeclaims"
    found = (json.loads(cluster.kubectl("-n", namespace, "get", kinds, "-o", "json"))["items"] for namespace in namespaces)
    return {(one["metadata"]["namespace"], one["kind"], one["metadata"]["name"]) for some in found for one in some}


def give(cluster, case):
    """What the values suppose to be there: Secrets with credentials and certificates, rights that others grant."""
    access, secret = cluster.key("admin")
    about = {"namespace": case.namespace}
    made = []
    if name := case.values["clearml"].get("existingSecret"):
        entries = {"apiKey": access, "apiSecret": secret}
        made.append({"apiVersion": "v1", "kind": "Secret", "metadata": about | {"name": name}, "stringData": entries})
    if not case.values.get("serviceAccount", {}).get("create", True):
        account = case.values["serviceAccount"]["name"]
        made.append({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": about | {"name": account}})
        # As NOTES.txt says.
        shown = ("--set", "rbac.create=true", "--show-only", "templates/role.yaml")
        text = cluster.helm("template", "ci", "-n", case.namespace, CHART, "-f", "-", *shown, given=json.dumps(case.values))
        made += [one for one in yaml.safe_load_all(text) if one["kind"] in ("Role", "RoleBinding")]
    if made:
        cluster.apply(*made)


@pytest.fixture(scope="module")
def cases(cluster, kinds):
    """A release of every file, all at once: each in a namespace of its own, where a user has made what the values name."""
    found = {}
    cluster.namespace("values-tasks")
    for number, name in enumerate(NAMES):
        case = SimpleNamespace(name=name, namespace=f"values-{name}", values=place(cluster, name, number))
        cluster.namespace(case.namespace)
        give(cluster, case)
        case.namespaces = [case.namespace, *(["values-tasks"] if "workloadNamespace" in case.values else [])]
        # The root certificate of a new namespace comes by itself, a little later.
        until(lambda c=case: "kube-root-ca.crt" in str(things(cluster, c.namespace)), "the namespace is complete")
        case.before = things(cluster, *case.namespaces)
        found[name] = case

    def install(case):
        return cluster.helm("upgrade", "-i", "ci", "-n", case.namespace, CHART, "-f", "-", given=json.dumps(case.values))

    with ThreadPoolExecutor(2) as pool:
        for case, notes in zip(found.values(), pool.map(install, found.values()), strict=True):
            case.notes = notes
    yield found
    cluster.kubectl("delete", "namespace", "values-tasks", *(case.namespace for case in found.values()), "--wait=false")


@pytest.mark.parametrize("name", NAMES)
def test_what_every_file_makes_comes_up_and_leaves_nothing_behind(cluster, cases, name):
    case = cases[name]
    (deployment,) = cluster.get(case.namespace, "deployments")["items"]
    about = deployment["metadata"]["name"]
    if "openshift" in name:
        # There the platform adds the user and the group to each pod.
        own = {"runAsUser": 1000700000, "fsGroup": 1000700000}
        patch = {"spec": {"template": {"spec": {"securityContext": own}}}}
        cluster.kubectl("-n", case.namespace, "patch", "deployment", about, "-p", json.dumps(patch))
    cluster.kubectl("-n", case.namespace, "rollout", "status", f"deployment/{about}", "--timeout=170s")
    pods = cluster.get(case.namespace, "pods", "-l", "app.kubernetes.io/instance=ci")["items"]
    (pod,) = (one for one in pods if "deletionTimestamp" not in one["metadata"])
    health = httpx.get(f"http://{pod['status']['podIP']}:8080/_gateway/health", trust_env=False, timeout=30)
    assert health.status_code == 200
    assert "Gateway ci serves the tasks" in case.notes
    assert things(cluster, *case.namespaces) > case.before
    cluster.helm("uninstall", "ci", "-n", case.namespace)
    until(lambda: things(cluster, *case.namespaces) <= case.before, "everything is gone", within=120)
    assert things(cluster, *case.namespaces) == case.before


@pytest.fixture(scope="module")
def lived(cluster):
    """A namespace for releases with a past."""
    cluster.namespace("values-lived")
    yield "values-lived"
    cluster.kubectl("delete", "namespace", "values-lived", "--wait=false")


def keys(cluster, release):
    """The keys that seal its sessions."""
    secret = cluster.get(release.namespace, "secret", f"{release.name}-session-keys")
    return until(lambda: secret.get("data", {}).get("session-keys"), "there are keys")


def test_a_release_changes_its_services_and_goes_back_and_keeps_its_keys(cluster, lived):
    """Upgrades between all types of Services, `--reuse-values`, and `helm rollback`."""
    release = Release(cluster, "lived", lived, 30325, ports(30326, 30327)).install()
    before = keys(cluster, release)

    def services():
        found = {one["metadata"]["name"]: one["spec"] for one in cluster.get(lived, "services")["items"]}
        return {name: (spec["type"], [port.get("nodePort") for port in spec["ports"]]) for name, spec in found.items()}

    node_port = {"lived-portico": ("NodePort", [30325]), "lived-portico-stream": ("NodePort", [30326, 30327])}
    assert services() == node_port

    def upgrade(more, *options):
        given = merged(values(cluster, 30325), more)
        cluster.helm("upgrade", "lived", "-n", lived, CHART, "-f", "-", *options, given=json.dumps(given))

    upgrade(ports(30326, 30327) | {"service": {"type": "ClusterIP"}})
    assert services()["lived-portico"] == ("ClusterIP", [None])
    upgrade(ports(30326, 30326, "LoadBalancer") | {"service": {"type": "LoadBalancer"}})
    assert [kind for kind, _ in services().values()] == ["LoadBalancer", "LoadBalancer"]
    # The range moves by one port: the other was its own.
    upgrade(ports(30327, 30328))
    assert services()["lived-portico-stream"] == ("NodePort", [30327, 30328])
    cluster.helm("upgrade", "lived", "-n", lived, CHART, "--reuse-values", "--set", "config.publish=never")
    assert services()["lived-portico-stream"] == ("NodePort", [30327, 30328])
    config = cluster.get(lived, "configmap", "lived-portico")["data"]["portico.yaml"]
    assert yaml.safe_load(config)["publish"] == "never"
    upgrade({})
    assert "lived-portico-stream" not in services()
    cluster.helm("rollback", "lived", "1", "-n", lived, "--wait", "--timeout", "120s")
    assert services() == node_port
    assert keys(cluster, release) == before
    release.uninstall()


def ports(start, end, kind="NodePort"):
    """Values of a range of ports."""
    streams = {"portRange": {"start": start, "end": end}, "service": {"type": kind}}
    return {"streamSession": streams}


def fails(cluster, *arguments, given=None):
    """What helm says that cannot do it."""
    with pytest.raises(AssertionError) as failed:
        cluster.helm(*arguments, given=given)
    return str(failed.value)


def test_two_releases_cannot_have_one_port(cluster, lived):
    first = Release(cluster, "first", lived, 30330, ports(30331, 30333))
    first.install("--timeout", "60s")
    before = things(cluster, lived)
    for port, range_, said in (
        (30334, (30333, 30335), "Service first-portico-stream of release first has node port 30333"),
        (30334, (30330, 30330), "Service first-portico of release first has node port 30330"),
        (30332, (30335, 30336), "service.nodePort is 30332, which Service first-portico-stream of release first has"),
    ):
        given = json.dumps(values(cluster, port, ports(*range_)))
        assert said in fails(cluster, "upgrade", "-i", "second", "-n", lived, CHART, "-f", "-", given=given)
    assert {one for one in things(cluster, lived) if "second" in one[2]} == set()
    assert {one for one in before if one[1] == "Service"} <= things(cluster, lived)
    first.uninstall()


def test_odd_names_of_releases_come_up(cluster, lived):
    """As long as helm allows, with a dot, of digits."""
    odd = ["x" * 53, "team.a", "123"]
    for number, name in enumerate(odd):
        given = json.dumps(values(cluster, 30340 + number, {"resources": {"requests": {"cpu": "10m"}}}))
        cluster.helm("upgrade", "-i", name, "-n", lived, CHART, "-f", "-", given=given)
    for name in odd:
        selector = f"app.kubernetes.io/instance={name}"
        cluster.kubectl("-n", lived, "rollout", "status", "deployment", "-l", selector, "--timeout=170s")
        leases = cluster.get(lived, "leases", "-l", f"portico/gateway={name}")["items"]
        assert len(leases) == 1
    for name in odd:
        cluster.helm("uninstall", name, "-n", lived)


def test_credentials_that_others_rotate_are_taken_without_a_restart(cluster, lived):
    """And a Secret of the state that somebody deleted comes back with the next upgrade."""
    access, secret = cluster.key("admin")
    about = {"name": "rotated", "namespace": lived}

    def write(key):
        entries = {"apiKey": access, "apiSecret": key}
        cluster.apply({"apiVersion": "v1", "kind": "Secret", "metadata": about, "stringData": entries})

    write(secret)
    credentials = {"existingSecret": "rotated", "apiKey": "", "apiSecret": ""}
    release = Release(cluster, "rotated", lived, 30345, {"clearml": credentials}).install()
    (pod,) = release.pods()
    other = base64.b64encode(b"of-another-time").decode()
    write(other)
    until(lambda: release.metric("portico_own_key_accepted") == 0, "the key that is no more is refused", within=180)
    write(secret)
    until(lambda: release.metric("portico_own_key_accepted") == 1, "the new one is taken", within=180)
    assert [one["metadata"]["uid"] for one in release.pods()] == [pod["metadata"]["uid"]]
    cluster.kubectl("-n", lived, "delete", "secret", f"{release.name}-session-keys")
    release.install()
    cluster.kubectl("-n", lived, "rollout", "restart", f"deployment/{release.name}")
    cluster.kubectl("-n", lived, "rollout", "status", f"deployment/{release.name}", "--timeout=170s")
    assert keys(cluster, release)
    release.uninstall()
