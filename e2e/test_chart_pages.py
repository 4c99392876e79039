"""What the how-to pages about Kubernetes say to helm is taken by the chart as it is.

No cluster is needed here: installing becomes rendering. `cargo xtask cluster test` types the same pages as they are, what they say to kubectl,
skopeo and a registry included.
"""

import re
import shlex
import subprocess

import pytest
import yaml
from world import helm
from world.programs import ROOT

PAGES = (
    "docs/how-to/install.md",
    "docs/how-to/https.md",
    "docs/how-to/node-port.md",
    "docs/how-to/http-route.md",
    "docs/how-to/apart-from-the-workloads.md",
    "docs/how-to/several-gateways.md",
    "docs/how-to/upgrade-from-the-enterprise-chart.md",
)
SHARED = ("docs/how-to/several-gateways.md",)
PLACE = "oci://registry.example.com/charts/portico"
# The values of a release of the enterprise chart, for the page that begins with them.
ENTERPRISE = (helm.CHART / "ci/older-names-values.yaml").read_text()


def blocks(page, language):
    """The page's fenced blocks of that language."""
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)


def commands(page):
    """What the page tells to type."""
    return [line.removeprefix("$ ") for block in blocks(page, "console") for line in block.splitlines() if line.startswith("$ ")]


def first_and_more(page):
    """The values that the page begins with, and those that it adds to them."""
    found = blocks(page, "yaml")
    return (ENTERPRISE, found) if "enterprise" in page else (found[0], found[1:])


def write_files(page, directory):
    """The files that the page's commands name."""
    first, _ = first_and_more(page)
    (directory / "values.yaml").write_text(first)
    named = re.findall(r"`(\w+\.yaml)`:\n\n```yaml\n(.*?)^```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)
    for name, text in named:
        (directory / name).write_text(text)


def rendered(directory, files, arguments=("main", "-n", "workloads", PLACE)):
    """What helm makes of the page's arguments and files."""
    command = [helm.HELM, "template", *[str(helm.CHART) if part == PLACE else part for part in arguments]]
    for file in files:
        command += ["-f", file]
    command += ["--kube-version", helm.KUBERNETES]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("page", PAGES)
def test_the_values_of_a_page_can_be_installed(page, tmp_path):
    first, more = first_and_more(page)
    texts = [first, *more]
    # This page begins with what its gateways share, which is no whole installation.
    least = 2 if page in SHARED else 1
    for number, text in enumerate(texts, start=1):
        (tmp_path / f"{number}.yaml").write_text(text)
        if number >= least:
            done = rendered(tmp_path, [f"{n}.yaml" for n in range(1, number + 1)])
            assert done.returncode == 0, f"{page}, block {number}: {done.stderr}"


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_says_to_helm_is_understood(page, tmp_path):
    write_files(page, tmp_path)
    for command in commands(page):
        parts = shlex.split(command.split(">")[0])
        if parts[:3] == ["helm", "upgrade", "-i"]:
            done = rendered(tmp_path, [], parts[3:])
            assert done.returncode == 0, f"{command}: {done.stderr}"
        elif parts[:2] == ["helm", "template"]:
            assert rendered(tmp_path, [], parts[2:]).returncode == 0
        elif parts[:2] == ["helm", "show"]:
            assert helm.run("show", parts[2], helm.CHART)


def test_the_enterprise_guides_values_are_among_the_cases():
    """The blocks of the guide, whose names must not get lost."""
    first = yaml.safe_load((helm.CHART / "ci/guide-blank-range-values.yaml").read_text())
    assert set(first) == {"imageCredentials", "clearml", "ingress", "tcpSession"}
    assert first["tcpSession"]["portRange"] == {"start": None, "end": None}
    second = yaml.safe_load((helm.CHART / "ci/guide-node-port-values.yaml").read_text())
    assert second["router"]["extraEnvs"] == [{"name": "ROUTER__HTTP__AUTHORIZATION__COOKIE__SECURE", "value": "false"}]
    # The guide says to add the second block to the first.
    whole = yaml.safe_load((helm.CHART / "ci/guide-values.yaml").read_text())
    whole["ingress"] |= second["ingress"]
    whole |= {name: second[name] for name in ("service", "router", "externalURL")}
    assert yaml.safe_load((helm.CHART / "ci/guide-both-values.yaml").read_text()) == whole


def test_the_trial_beside_the_running_gateway_shares_nothing_with_it(tmp_path):
    page = "docs/how-to/upgrade-from-the-enterprise-chart.md"
    write_files(page, tmp_path)
    done = rendered(tmp_path, ["values.yaml", "trial.yaml"], ("trial", "-n", "workloads", PLACE))
    assert done.returncode == 0, done.stderr
    objects = [one for one in yaml.safe_load_all(done.stdout) if one]
    assert {one["metadata"]["name"].split("-")[0] for one in objects} == {"trial"}
    assert not [one for one in objects if one["metadata"]["name"].endswith("-stream")]
    (config,) = (one for one in objects if one["kind"] == "ConfigMap")
    assert yaml.safe_load(config["data"]["portico.yaml"])["publish"] == "never"
    (ingress,) = (one for one in objects if one["kind"] == "Ingress")
    assert [rule["host"] for rule in ingress["spec"]["rules"]] == ["portico.example.com"]


def test_the_trial_of_a_node_port_has_another_port(tmp_path):
    page = "docs/how-to/upgrade-from-the-enterprise-chart.md"
    write_files(page, tmp_path)
    said = (ROOT / page).read_text()
    assert "`externalURL: http://10.0.0.5:30090`" in said and "blank `nodePort:`" in said
    trial = yaml.safe_load((tmp_path / "trial.yaml").read_text())
    del trial["ingress"]
    trial |= {"externalURL": "http://10.0.0.5:30090", "service": {"nodePort": None}}
    (tmp_path / "trial.yaml").write_text(yaml.safe_dump(trial))
    given = yaml.safe_load((helm.CHART / "ci/guide-node-port-values.yaml").read_text())
    given["service"]["nodePort"] = 30080
    (tmp_path / "values.yaml").write_text(yaml.safe_dump(given))
    done = rendered(tmp_path, ["values.yaml", "trial.yaml"], ("trial", "-n", "workloads", PLACE))
    assert done.returncode == 0, done.stderr
    (service,) = (one for one in yaml.safe_load_all(done.stdout) if one and one["kind"] == "Service")
    assert [port["nodePort"] for port in service["spec"]["ports"]] == [30090]
