"""The pages about several gateways, a gateway apart from the workloads, and coming from the enterprise chart: all that they say to type."""

import json
import re

import pytest
import yaml
from engineer import Engineer
from kubernetes_world import NODE, ROOT, Gateway, until
from releases import wish, workload
from world.pages import blocks, commands, output

SEVERAL = "docs/how-to/several-gateways.md"
APART = "docs/how-to/apart-from-the-workloads.md"
ENTERPRISE = "docs/how-to/upgrade-from-the-enterprise-chart.md"
SMALL = {"resources": {"requests": {"cpu": "10m"}}, "shutdown": {"delaySeconds": 0}}


@pytest.fixture
def engineer(request, cluster, registry, tmp_path):
    """Whoever follows a page, in a namespace of their own."""
    with Engineer(cluster, f"pages-{request.param}", tmp_path) as engineer:
        engineer.log_in()
        yield engineer


def write(engineer, name, text, **examples):
    """A file of a page, with this world's addresses in place of the examples'."""
    for example, here in examples.items():
        assert example in text, f"the page no longer shows {example}"
        text = text.replace(example, here)
    values = yaml.safe_load(text)
    if "clearml" in values:
        values = engineer.here(values) | SMALL
    (engineer.directory / name).write_text(json.dumps(values))


def ready(engineer, *releases, namespace=None):
    """Waits until all of them serve."""
    for release in releases:
        selector = f"app.kubernetes.io/instance={release}"
        where = namespace or engineer.namespace
        engineer.cluster.kubectl("-n", where, "rollout", "status", "deployment", "-l", selector, "--timeout=170s")


def visited(cluster, release, url, namespace, task):
    """Waits until the release leads to the task's application."""
    gateway = Gateway(cluster, release, namespace, url)
    until(lambda: gateway.visit(task).status_code == 200, f"{release} leads to the application")


@pytest.mark.parametrize("engineer", ["several"], indirect=True)
def test_the_page_about_several_gateways(cluster, engineer):
    shared, inside, outside, *_ = blocks(SEVERAL, "yaml")
    engineer.keep_key()
    write(engineer, "values.yaml", shared)
    write(engineer, "inside.yaml", inside, **{"10.0.0.5:30080": f"{NODE}:30290", "30100": "30291", "30119": "30292"})
    write(engineer, "outside.yaml", outside, **{"192.0.2.5:30090": f"{NODE}:30293", "30120": "30294", "30139": "30295"})
    first, second, leases = commands(SEVERAL)
    engineer.type(first)
    ready(engineer, "inside")
    engineer.type(second)
    ready(engineer, "outside")
    until(lambda: {"inside-portico", "outside-portico"} <= set(engineer.type(leases).split()), "the gateways know each other")
    task = cluster.asking(7000)
    workload(cluster, engineer.namespace, task)
    visited(cluster, "inside", f"http://{NODE}:30290", engineer.namespace, task)
    visited(cluster, "outside", f"http://{NODE}:30293", engineer.namespace, task)
    # The older one owns it.
    published = until(lambda: cluster.published(task), "an address is published")
    assert published.startswith(f"http://{NODE}:30290/")
    queues, trial = (yaml.safe_load(text)["config"] for text in blocks(SEVERAL, "yaml")[3:])
    assert queues == {"discovery": {"queues": ["gpu", "cpu"]}}
    assert trial == {"publish": "never"}


@pytest.mark.parametrize("engineer", ["gateways"], indirect=True)
def test_the_page_about_a_gateway_apart_from_the_workloads(cluster, engineer):
    tasks = "pages-tasks"
    cluster.namespace(tasks)
    binding = cluster.get(engineer.namespace, "rolebinding", "engineer")
    about = {"name": "engineer", "namespace": tasks}
    cluster.apply({name: binding[name] for name in ("apiVersion", "kind", "subjects", "roleRef")} | {"metadata": about})
    values, policy = blocks(APART, "yaml")
    write(engineer, "values.yaml", values, **{"workloadNamespace: workloads": f"workloadNamespace: {tasks}"})
    install, may = (here(command, engineer.namespace, tasks) for command in commands(APART))
    engineer.type(install)
    ready(engineer, "main")
    (said,) = output(APART, commands(APART)[1])
    assert re.fullmatch(said + "\n", engineer.type(may, status=1))
    gateway = Gateway(cluster, "main", engineer.namespace, None)
    task = cluster.asking(7000)
    workload(cluster, tasks, task)
    until(lambda: cluster.published(task), "a task of the other namespace has its address", within=60)
    # With the policy for the tasks' pods besides.
    (engineer.directory / "policy.yaml").write_text(policy)
    engineer.type(f"{install} -f policy.yaml")
    assert cluster.get(tasks, "networkpolicy", "main-portico-task-pods")
    assert "cannot be renewed" not in gateway.log()
    engineer.type(f"helm uninstall main -n {engineer.namespace} --wait")
    left = cluster.get(tasks, "leases,roles,rolebindings,networkpolicies,secrets,configmaps")["items"]
    assert {one["metadata"]["name"] for one in left} == {"engineer", "kube-root-ca.crt"}
    cluster.kubectl("delete", "namespace", tasks, "--wait=false")


def here(command, gateways, tasks):
    """The command with this world's namespaces."""
    return command.replace("-n gateways", f"-n {gateways}").replace("serviceaccount:workloads:", f"serviceaccount:{tasks}:")


@pytest.mark.parametrize("engineer", ["enterprise"], indirect=True)
def test_the_page_about_coming_from_the_enterprise_chart(cluster, engineer):
    """The release that it begins with has the enterprise chart's values; nothing of it runs."""
    given = yaml.safe_load((ROOT / "charts/portico/ci/older-names-values.yaml").read_text())
    given = engineer.here({name: value for name, value in given.items() if name not in ("imageCredentials", "fullnameOverride")}) | SMALL
    given["clearml"] = {name: value for name, value in given["clearml"].items() if name not in ("apiServerKey", "apiServerSecret")}
    given["ingress"] |= {"hostname": "gateway.example.com", "className": "contour"}
    given["tcpSession"] |= {"portRange": {"start": 30296, "end": 30297}}
    write_enterprise(engineer, given)
    get, render, try_it, leave, end, change = commands(ENTERPRISE)
    engineer.type(get)
    assert yaml.safe_load((engineer.directory / "values.yaml").read_text()) == given
    engineer.type(render)
    objects = [one for one in yaml.safe_load_all((engineer.directory / "objects.yaml").read_text()) if one]
    assert "Deployment" in {one["kind"] for one in objects}
    (engineer.directory / "trial.yaml").write_text(blocks(ENTERPRISE, "yaml")[0])
    task = wish(cluster, {"_SERVICE": "EXTERNAL", "_ADDRESS": "10.9.9.9", "_PORT": 7000})
    workload(cluster, engineer.namespace, task)
    engineer.type(try_it)
    ready(engineer, "trial")
    lease = cluster.get(engineer.namespace, "lease", "trial-portico")
    until(lambda: "portico/publish" in cluster.get(engineer.namespace, "lease", "trial-portico")["metadata"].get("annotations", {}), "it says so")
    assert lease["metadata"]["labels"]["portico/gateway"] == "trial"
    assert not cluster.published(task)
    engineer.type(leave)
    engineer.type(end)
    engineer.type(change)
    ready(engineer, "main")
    published = until(lambda: cluster.published(task), "the task has its address from Portico", within=60)
    assert published.startswith(f"https://gateway.example.com/service/{task}")
    engineer.type(leave.replace("trial", "main"))


def write_enterprise(engineer, given):
    """A release named main, of a chart that takes these values and makes one object."""
    chart = engineer.directory / "enterprise"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: clearml-enterprise-app-gateway\nversion: 3.0.0\n")
    about = {"name": "clearml-enterprise-app-gateway"}
    (chart / "templates/it.yaml").write_text(json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": about}))
    (engineer.directory / "given.yaml").write_text(json.dumps(given))
    engineer.type("helm upgrade -i main -n workloads ./enterprise -f given.yaml")
