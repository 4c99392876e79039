"""What the gateway may do is what it does; and what the tasks' accounts may do with it, in either kind of installation."""

import base64
import re
import ssl

import httpx
import pytest
from kubernetes_world import NODE, until
from releases import Release, clearml, wish, workload
from weather import RUN, Audit

STREAMS = {"streamSession": {"portRange": {"start": 30250, "end": 30252}}}
# What the open-source chart of ClearML's agent lets its account do in the tasks' namespace.
AGENT = [
    {
        "apiGroups": ["", "batch", "events.k8s.io"],
        "resources": ["pods", "pods/log", "secrets", "services", "events", "jobs"],
        "verbs": ["get", "list", "watch", "create", "patch", "delete"],
    }
]


@pytest.fixture(scope="module", params=["one_namespace", "apart"])
def gateway(request, cluster):
    """A release in the namespace of the tasks, or apart from them; the tasks have the account of the agent's chart."""
    if request.param == "apart":
        release = Release(cluster, "rights", "rights-gateways", 30237, STREAMS | {"workloadNamespace": "rights-tasks"})
        release.workloads = "rights-tasks"
        cluster.namespace(release.workloads)
    else:
        release = Release(cluster, "rights", "rights-one", 30236, STREAMS)
        release.workloads = release.namespace
    release.audit = Audit()
    release.install()
    about = {"name": "agent", "namespace": release.workloads}
    account = {"kind": "ServiceAccount", "name": "default", "namespace": release.workloads}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "agent"}
    rbac = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": about}
    cluster.apply(
        {**rbac, "kind": "Role", "rules": AGENT},
        {**rbac, "kind": "RoleBinding", "roleRef": reference, "subjects": [account]},
    )
    yield release
    release.uninstall()
    cluster.kubectl("delete", "namespace", *{release.namespace, release.workloads}, "--wait=false")


def granted(cluster, gateway):
    """What the account's Roles let it do, one by one."""
    rights = set()
    for namespace in {gateway.namespace, gateway.workloads}:
        for binding in cluster.get(namespace, "rolebindings")["items"]:
            subjects = [(one["kind"], one["name"], one.get("namespace")) for one in binding["subjects"]]
            if ("ServiceAccount", gateway.name, gateway.namespace) not in subjects:
                continue
            for rule in cluster.get(namespace, "role", binding["roleRef"]["name"])["rules"]:
                for resource in rule["resources"]:
                    for name in rule.get("resourceNames", [""]):
                        rights |= {(namespace, resource, name, verb) for verb in rule["verbs"]}
    bindings = cluster.kubectl("get", "clusterrolebindings", "-o", "wide")
    assert f"{gateway.namespace}/{gateway.name}" not in bindings
    return rights


def test_every_right_that_is_granted_is_used_and_no_other(cluster, gateway):
    """The gateway does all that it ever does to Kubernetes, and the audit log tells what that was."""
    task = cluster.asking(7000)
    workload(cluster, gateway.workloads, task)
    stream = wish(cluster, {"_SERVICE": "EXTERNAL_TCP", "external_address": "10.9.9.9", "external_tcp_port": 7000})
    workload(cluster, gateway.workloads, stream)
    until(lambda: gateway.visit(task).status_code == 200, "the application answers")
    refused = cluster.asking(7000)
    workload(cluster, gateway.workloads, refused, host_network=True)
    gateway.says("session", "revoke", "--user", cluster.actors["bob"]["id"])
    rights = granted(cluster, gateway)
    account = cluster.get(gateway.namespace, "serviceaccount", gateway.name)["metadata"]["uid"]

    def used():
        return {what for what, code in gateway.audit.of(account) if code < 400}

    try:
        until(lambda: used() >= rights, "every right is used", within=120)
    except AssertionError as late:
        raise AssertionError(f"{late}, but for {sorted(rights - used())}") from late
    assert used() == rights
    # A Role that was made a moment ago is not yet known to all of the API server.
    assert {what for what, code in gateway.audit.of(account) if code in (401, 403)} <= rights
    for one in (task, stream, refused):
        clearml(cluster, "tasks.stopped", {"task": one, "force": True})


def as_task(cluster, gateway, path, account="default"):
    """What a program in a task's pod gets from the API server."""
    token = cluster.kubectl("-n", gateway.workloads, "create", "token", account).strip()
    headers = {"authorization": f"Bearer {token}"}
    return httpx.get(f"https://{NODE}:6443{path}", headers=headers, verify=ssl.create_default_context(cafile=RUN / "trust/ca.crt"), trust_env=False, timeout=30)


def test_apart_from_the_workloads_no_task_reads_the_keys_of_the_sessions(cluster, gateway):
    """And in one namespace it does, as docs/how-to/apart-from-the-workloads.md says (class 25)."""
    names = [f"{gateway.name}-{part}" for part in ("session-keys", "state", "observation", "leases", "clearml")]
    for name in names:
        answer = as_task(cluster, gateway, f"/api/v1/namespaces/{gateway.namespace}/secrets/{name}")
        assert answer.status_code == (200 if gateway.workloads == gateway.namespace else 403), name
    listed = as_task(cluster, gateway, f"/api/v1/namespaces/{gateway.workloads}/secrets").json()["items"]
    found = [secret["metadata"]["name"] for secret in listed if secret["metadata"]["name"].startswith("rights")]
    keys = [secret["data"]["session-keys"] for secret in listed if secret["metadata"]["name"] == names[0]]
    if gateway.workloads == gateway.namespace:
        assert set(names) <= set(found)
        assert len(base64.b64decode(keys[0])) > 32
    else:
        assert found == []
        for kind in ("secrets", "configmaps", "pods"):
            assert as_task(cluster, gateway, f"/api/v1/namespaces/{gateway.namespace}/{kind}").status_code == 403


def test_who_may_read_the_keys_of_the_sessions_is_told(cluster, gateway):
    """By a metric, in the status, and once in the log: nobody apart from the workloads, until somebody lets an account (class 25)."""
    task = cluster.asking(7000)
    workload(cluster, gateway.workloads, task)
    known = ["default"] if gateway.workloads == gateway.namespace else []
    until(lambda: readers(gateway) == len(known), "the account of the agent's chart is asked about")
    assert warned(gateway) == known
    keys = f"{gateway.name}-session-keys"
    rule = {"apiGroups": [""], "resources": ["secrets"], "resourceNames": [keys], "verbs": ["get"]}
    about = {"name": "reader", "namespace": gateway.namespace}
    account = {"name": "reader", "namespace": gateway.workloads}
    rbac = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": about}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"}
    cluster.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account},
        {**rbac, "kind": "Role", "rules": [rule]},
        {**rbac, "kind": "RoleBinding", "roleRef": reference, "subjects": [{"kind": "ServiceAccount", **account}]},
    )
    path = f"/api/v1/namespaces/{gateway.namespace}/secrets/{keys}"
    until(lambda: as_task(cluster, gateway, path, "reader").status_code == 200, "it reads the keys")
    other = cluster.asking(7000)
    workload(cluster, gateway.workloads, other, account="reader")
    until(lambda: readers(gateway) == len(known) + 1, "the other account is found out")
    assert f"may read the gateway's keys: {', '.join([*known, 'reader'])};" in gateway.says("status")
    assert warned(gateway) == [*known, "reader"]
    for one in (task, other):
        clearml(cluster, "tasks.stopped", {"task": one, "force": True})


def readers(gateway):
    """How many accounts may read the keys; nothing while that is not known."""
    text = httpx.get(f"http://{gateway.address()}:8013/metrics", trust_env=False, timeout=10).text
    found = re.search(r"^portico_state_readers (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else None


def warned(gateway):
    """The accounts of which the log warns, in the order of its lines."""
    lines = [line for line in gateway.log().splitlines() if "act as any visitor" in line]
    return [name for line in lines for name in ("default", "reader") if f'"{name}"' in line]


def test_network_policies_are_taken_and_leave_the_tasks_alone_until_told_otherwise(cluster, gateway):
    """By default none selects a task's pod (class 19)."""
    task = cluster.asking(7000)
    pod = workload(cluster, gateway.workloads, task)

    def selecting():
        found = {}
        for policy in cluster.get(gateway.workloads, "networkpolicies")["items"]:
            selector = policy["spec"]["podSelector"]
            terms = [f"{name}={value}" for name, value in selector.get("matchLabels", {}).items()]
            terms += [one["key"] for one in selector.get("matchExpressions", []) if one["operator"] == "Exists"]
            pods = cluster.get(gateway.workloads, "pods", "-l", ",".join(terms))["items"]
            found[policy["metadata"]["name"]] = [one["metadata"]["name"] for one in pods]
        return found

    assert pod not in sum(selecting().values(), [])
    if gateway.workloads == gateway.namespace:
        assert selecting()[gateway.name] == [gateway.pods()[0]["metadata"]["name"]]
    given = {"networkPolicy": {"taskPods": {"enabled": True, "from": [{"podSelector": {}}]}}}
    asked = Release(cluster, gateway.release, gateway.namespace, gateway.port, gateway.more | given)
    asked.install()
    assert pod in selecting()[f"{gateway.name}-task-pods"]
    until(lambda: gateway.visit(task).status_code == 200, "the gateway goes on")
    gateway.install()
    assert pod not in sum(selecting().values(), [])
    clearml(cluster, "tasks.stopped", {"task": task, "force": True})


def test_nothing_secret_of_a_pod_is_anywhere(cluster, gateway):
    """Agents write the owner's ClearML keys into arguments and an annotation of a pod (class 24)."""
    task = cluster.asking(7000)
    workload(cluster, gateway.workloads, task, secret=SECRET)
    until(lambda: gateway.visit(task).status_code == 200, "the application answers")
    other = cluster.asking(7000)
    workload(cluster, gateway.workloads, other, secret=SECRET, host_network=True)
    until(lambda: "NotRouted" in cluster.kubectl("-n", gateway.workloads, "get", "events"), "an event tells of the other")
    said = [
        gateway.log(),
        gateway.says("status"),
        gateway.says("explain", task),
        gateway.visit(other).text,
        httpx.get(f"http://{gateway.address()}:8013/metrics", trust_env=False, timeout=30).text,
        *(cluster.kubectl("-n", namespace, "get", "events,leases", "-o", "yaml") for namespace in (gateway.namespace, gateway.workloads)),
    ]
    for secret in cluster.get(gateway.namespace, "secrets")["items"]:
        said += [base64.b64decode(value).decode(errors="replace") for value in secret.get("data", {}).values()]
    assert [text for text in said if SECRET in text] == []
    # The test itself: it is there to be read.
    assert SECRET in cluster.kubectl("-n", gateway.workloads, "get", "pods", "-o", "yaml")
    for one in (task, other):
        clearml(cluster, "tasks.stopped", {"task": one, "force": True})


SECRET = "marker-0a1b2c3d-of-a-key"
