"""The install page from its first command to its last: a registry with a password, and an administrator of one namespace alone."""

import json
import subprocess

import pytest
from authority import AUTHORITY
from engineer import REGISTRY, Engineer
from kubernetes_world import until
from world.pages import commands

INSTALL = "docs/how-to/install.md"
(_, _, _, _, _, _, README, UPGRADE, ROLLOUT, STATUS, UNINSTALL) = commands(INSTALL)
KINDS = "deployments,pods,services,secrets,configmaps,serviceaccounts,leases,roles,rolebindings,networkpolicies,ingresses"
# What every namespace has, and what the engineer had before.
OWN = {"kube-root-ca.crt", "default", "engineer", "gateway-tls"}


@pytest.fixture(scope="module")
def installed(cluster, registry, tmp_path_factory):
    """An engineer who has installed a release as the page says, with the page's values."""
    with Engineer(cluster, "guide-install", tmp_path_factory.mktemp("install")) as engineer:
        engineer.log_in()
        engineer.certificate()
        engineer.type("kubectl -n workloads create secret tls gateway-tls --cert=gateway.crt --key=gateway.key")
        engineer.write_values(INSTALL)
        engineer.type(UPGRADE)
        engineer.type(ROLLOUT)
        yield engineer


def test_without_the_password_the_registry_gives_nothing(registry):
    for place in ("v2/", "v2/portico/manifests/0.1.0", "v2/charts/portico/manifests/0.1.0"):
        ask = ["curl", "--silent", "--cacert", str(AUTHORITY), "--output", "/dev/null", "--write-out", "%{http_code}", f"https://{REGISTRY}/{place}"]
        assert subprocess.run(ask, capture_output=True, text=True, check=True).stdout == "401"


def test_the_chart_in_the_registry_tells_of_its_values(installed):
    readme = installed.type(README)
    assert "imageCredentials.password" in readme and "streamSession.portRange.start" in readme


def test_the_engineer_administers_no_other_namespace(installed):
    assert installed.type("kubectl -n workloads auth can-i create deployments") == "yes\n"
    for what in ("get secrets --namespace clearml", "create clusterroles", "list nodes"):
        assert installed.type(f"kubectl auth can-i {what} 2>&1", status=1).endswith("no\n")


def test_the_node_pulls_the_image_with_the_charts_secret(installed):
    (pod,) = installed.cluster.get(installed.namespace, "pods", "-l", "app.kubernetes.io/name=portico")["items"]
    assert pod["spec"]["imagePullSecrets"] == [{"name": "main-portico-registry"}]
    assert [container["image"] for container in pod["spec"]["containers"]] == [f"{REGISTRY}/portico:0.1.0"]
    secret = installed.cluster.get(installed.namespace, "secret", "main-portico-registry")
    assert secret["type"] == "kubernetes.io/dockerconfigjson"


def test_an_image_with_a_password_is_not_pulled_without_it(installed):
    about = {"name": "stranger", "namespace": installed.namespace}
    # Another name than the one that the node has by now.
    container = {"name": "it", "image": f"{REGISTRY}/strange:0.1.0", "imagePullPolicy": "Always"}
    installed.cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": about, "spec": {"containers": [container]}})

    def waiting():
        states = installed.cluster.get(installed.namespace, "pod", "stranger")["status"].get("containerStatuses", [])
        return [state["state"]["waiting"] for state in states if state["state"].get("waiting", {}).get("reason") in ("ErrImagePull", "ImagePullBackOff")]

    until(waiting, "the node says that it cannot pull")
    installed.cluster.kubectl("-n", installed.namespace, "delete", "pod", "stranger", "--now")


def test_what_is_installed_says_that_clearml_answers(installed):
    assert "own key    accepted" in installed.type(STATUS)


def test_tasks_are_served_through_the_ingress_by_https(installed):
    installed.serves("https://gateway.example.com")


def test_the_ports_of_the_range_are_offered_and_no_others(installed):
    service = installed.cluster.get(installed.namespace, "service", "main-portico-stream")
    assert service["spec"]["type"] == "LoadBalancer"
    assert [port["port"] for port in service["spec"]["ports"]] == list(range(30100, 30120))


def test_uninstalling_as_the_page_says_leaves_nothing_behind(installed):
    installed.cluster.kubectl("-n", installed.namespace, "delete", "pods", "-l", "CLEARML", "--now")
    installed.type(UNINSTALL)

    def left():
        found = json.loads(installed.cluster.kubectl("-n", installed.namespace, "get", KINDS, "-o", "json"))["items"]
        return {one["metadata"]["name"] for one in found} - OWN

    until(lambda: not left(), "nothing is left")
