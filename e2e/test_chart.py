"""What the Helm chart makes of values: everything as it is kept in charts/portico/ci/golden, and what must hold whatever they are.

After a change that is meant, `PORTICO_GOLDEN=write cargo xtask e2e -- -k golden` writes the files anew; the commit shows what changed.
"""

import base64
import json
import os
import re
import tarfile

import pytest
import yaml
from world import helm

CI = helm.CHART / "ci"
CASES = sorted(path.name.removesuffix("-values.yaml") for path in CI.glob("*-values.yaml"))
REQUIRED = {
    "clearml": {"existingSecret": "credentials", "apiServerUrlReference": "https://api.clearml.example.com"},
    "externalURL": "https://gateway.example.com",
}


@pytest.fixture(scope="module")
def chart(tmp_path_factory):
    """Our chart."""
    return helm.Chart(tmp_path_factory.mktemp("chart"))


def case(chart, name):
    """One of the cases, rendered."""
    return chart.render(file=CI / f"{name}-values.yaml")


def values(**more):
    """The least that can be installed, and more."""
    return {**REQUIRED, **more}


@pytest.mark.parametrize("name", CASES)
def test_each_case_renders_as_its_golden_file(chart, name):
    rendering = case(chart, name)
    assert rendering.worked, rendering.error
    golden = CI / "golden" / f"{name}.yaml"
    if os.environ.get("PORTICO_GOLDEN") == "write":
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(rendering.text)
    assert rendering.text == golden.read_text()


def test_no_golden_file_is_left_over():
    assert sorted(path.stem for path in (CI / "golden").glob("*.yaml")) == CASES


@pytest.mark.parametrize("name", CASES)
def test_the_pod_has_no_rights_that_it_does_not_need(chart, name):
    """What the Pod Security Standard "restricted" asks for, and more."""
    pod = case(chart, name).one("Deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert pod["enableServiceLinks"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
    assert all(not {"hostPath", "persistentVolumeClaim"} & set(volume) for volume in pod["volumes"])


def test_openshift_chooses_the_user_itself(chart):
    openshift = case(chart, "class-openshift").one("Deployment")["spec"]["template"]["spec"]["securityContext"]
    assert not {"runAsUser", "runAsGroup", "fsGroup"} & set(openshift)
    detected = chart.render(values(), options=("--api-versions", "security.openshift.io/v1"))
    assert detected.one("Deployment")["spec"]["template"]["spec"]["securityContext"] == openshift
    elsewhere = chart.render(values()).one("Deployment")["spec"]["template"]["spec"]["securityContext"]
    assert elsewhere["runAsUser"] == 65532


@pytest.mark.parametrize("name", [name for name in CASES if name != "own-authorities"])
def test_the_roles_grant_what_is_used_and_name_what_can_be_named(chart, name):
    rendering = case(chart, name)
    rules = {role["metadata"]["name"].rsplit("-", 1)[1]: role["rules"] for role in rendering.all("Role")}
    lease = rendering.one("Lease")["metadata"]["name"]
    assert rules["workloads"] == [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]},
        {"apiGroups": [""], "resources": ["events"], "verbs": ["create"]},
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["list", "watch"]},
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "resourceNames": [lease], "verbs": ["get", "update"]},
    ]
    state = {one["metadata"]["name"].removeprefix(lease) for one in rendering.all("Secret") if is_state(one)}
    assert state == {"-session-keys", "-state", "-observation", "-leases"}
    secrets = {"apiGroups": [""], "resources": ["secrets"]}
    assert rules["state"] == [
        {**secrets, "resourceNames": [f"{lease}-session-keys", f"{lease}-state"], "verbs": ["get", "watch", "update"]},
        {**secrets, "resourceNames": [f"{lease}-observation", f"{lease}-leases"], "verbs": ["get", "update"]},
        {"apiGroups": ["authorization.k8s.io"], "resources": ["localsubjectaccessreviews"], "verbs": ["create"]},
    ]
    assert not rendering.all("ClusterRole") and not rendering.all("ClusterRoleBinding")


def is_state(secret):
    """Whether it holds the gateway's state."""
    return secret["metadata"]["labels"].get("app.kubernetes.io/component") == "state"


def test_an_upgrade_says_nothing_about_what_is_in_the_state(chart):
    state = [one for one in case(chart, "guide").all("Secret") if is_state(one)]
    assert [one for one in state if {"data", "stringData", "immutable"} & set(one)] == []


def test_apart_from_the_workloads_only_pods_events_and_leases_are_touched_there(chart):
    """A task's account reads the Secrets of its own namespace: none of ours is there (class 25)."""
    rendering = case(chart, "apart")
    there = {(one["kind"], one["metadata"]["name"]) for one in rendering.objects() if one["metadata"]["namespace"] == "tasks"}
    assert there == {
        ("Lease", "main-portico"),
        ("Role", "main-portico-workloads"),
        ("RoleBinding", "main-portico-workloads"),
        ("NetworkPolicy", "main-portico-task-pods"),
    }
    binding = rendering.one("RoleBinding", "main-portico-workloads")
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "portico", "namespace": "workloads"}]
    assert rendering.config()["discovery"]["kubernetes"]["namespace"] == "tasks"


def test_by_default_the_notes_say_that_tasks_can_read_the_secrets(chart):
    notes = chart.render(values()).notes()
    assert "secrets lie in the namespace of the tasks" in notes and "portico_state_readers" in notes
    assert "secrets lie in the namespace of the tasks" not in chart.render(values(workloadNamespace="tasks")).notes()


@pytest.mark.parametrize("name", [name for name in CASES if name != "apart"])
def test_by_default_no_network_policy_selects_the_tasks_pods(chart, name):
    """It would cut training that runs over several pods (class 19)."""
    for policy in case(chart, name).all("NetworkPolicy"):
        assert policy["spec"]["podSelector"] == {
            "matchLabels": {"app.kubernetes.io/name": "portico", "app.kubernetes.io/instance": "main"}
        }


def test_the_metrics_are_closed_until_they_are_opened(chart):
    def ports(rendering):
        policy = rendering.one("NetworkPolicy", "main-portico")
        return [port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]]

    assert ports(chart.render(values())) == ["http"]
    assert ports(case(chart, "apart")) == ["http", "console", 30100, "operations"]


def test_the_stream_service_has_exactly_the_ports_of_the_range(chart):
    def service(rendering):
        return rendering.one("Service", "main-portico-stream")["spec"]["ports"]

    by_balancer = service(case(chart, "guide"))
    assert [(port["port"], port["targetPort"]) for port in by_balancer] == [(n, n) for n in range(30100, 30104)]
    by_node = service(case(chart, "guide-node-port"))
    assert [(port["port"], port["nodePort"]) for port in by_node] == [(30100, 30100), (30101, 30101)]


def test_a_blank_range_means_no_tcp_endpoints(chart):
    rendering = case(chart, "guide-blank-range")
    assert [one["metadata"]["name"] for one in rendering.all("Service")] == ["main-portico"]
    assert "streams" not in rendering.config()


def test_many_ports_can_be_asked_for(chart):
    streams = {"routerAddress": "tcp.example.com", "portRange": {"start": 30000, "end": 30599}, "allowManyPorts": True}
    rendering = chart.render(values(streamSession=streams))
    assert len(rendering.one("Service", "main-portico-stream")["spec"]["ports"]) == 600


def test_a_password_goes_to_its_registry_and_nowhere_else(chart):
    rendering = case(chart, "apart")
    secret = rendering.one("Secret", "main-portico-registry")
    login = json.loads(base64.b64decode(secret["data"][".dockerconfigjson"]))
    assert list(login["auths"]) == ["registry.example.com:5000"]
    assert base64.b64decode(login["auths"]["registry.example.com:5000"]["auth"]) == b"someone:a password"
    # The guide's values name none, and the token is for another one than ours.
    guide = case(chart, "guide")
    assert "dckr_pat_0123" not in guide.text.split("kind: Notes")[0]
    assert "imagePullSecrets" not in guide.one("Deployment")["spec"]["template"]["spec"]
    assert "imageCredentials.password has no effect" in guide.notes()


def test_the_release_is_the_gateways_name(chart):
    rendering = chart.render(values(), release="vision-team")
    assert rendering.config()["gateway"] == {"name": "vision-team", "url": "https://gateway.example.com"}
    assert rendering.one("Lease")["metadata"]["labels"]["portico/gateway"] == "vision-team"


# What helm takes for a release's name, as `yaml` or a Service would read it.
ODD_RELEASES = ("1", "1e3", "true", "null", "team.a", "team-a", "x" * 53, "x" * 52 + "y")


@pytest.fixture(scope="module")
def odd(chart):
    """The chart, rendered for each of these names."""
    streams = {"routerAddress": "tcp.example.com", "portRange": {"start": 30100, "end": 30101}}
    given = values(streamSession=streams, metrics={"serviceMonitor": {"enabled": True}}, networkPolicy={"taskPods": {"enabled": True}})
    return {release: chart.render(given, release=release, namespace="123") for release in ODD_RELEASES}


def test_any_name_that_helm_takes_for_a_release_or_a_namespace_can_be_installed(odd):
    for release, rendering in odd.items():
        assert rendering.worked, rendering.error
        for one in rendering.objects():
            about = one["metadata"]
            assert re.fullmatch("[a-z]([-a-z0-9]{0,61}[a-z0-9])?", about["name"]), about["name"]
            assert (about["namespace"], about["labels"]["app.kubernetes.io/instance"]) == ("123", release)
        assert rendering.one("Service", rendering.one("Deployment")["metadata"]["name"])["spec"]["selector"] == {
            "app.kubernetes.io/name": "portico",
            "app.kubernetes.io/instance": release,
        }
        assert rendering.config()["gateway"]["name"] == release


def test_no_two_releases_share_a_name(odd):
    names = {rendering.one("Deployment")["metadata"]["name"] for rendering in odd.values()}
    assert len(names) == len(ODD_RELEASES)


@pytest.mark.parametrize("name", ["Portico", "a_b", "true", "-a", "a b"])
def test_a_name_that_objects_cannot_have_is_refused(chart, name):
    assert "makes" in chart.render(values(fullnameOverride=name)).error


def test_what_the_user_writes_comes_over_what_the_chart_makes(chart):
    config = chart.render(values(config={"shutdown": {"delay": "0s"}, "publish": "never"})).config()
    assert config["shutdown"] == {"delay": "0s", "grace": "30s", "stream_grace": "3600s"}
    assert config["publish"] == "never"
    env = case(chart, "guide-node-port").one("Deployment")["spec"]["template"]["spec"]["containers"][0]["env"]
    assert env[1:] == [{"name": "ROUTER__HTTP__AUTHORIZATION__COOKIE__SECURE", "value": "false"}]


def test_whatever_may_stay_open_has_the_time_for_it(chart):
    rendering = chart.render(values(shutdown={"streamGraceSeconds": 100, "graceSeconds": 20, "delaySeconds": 3}))
    pod = rendering.one("Deployment")["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] > 123
    strategy = rendering.one("Deployment")["spec"]["strategy"]
    assert strategy["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


# 5 s, 30 s and 1 h are the chart's; 15 s are for the gateway itself.
TIMES = [
    ({"config": {"shutdown": {"stream_grace": "4h"}}}, 5 + 30 + 4 * 3600 + 15),
    ({"config": {"shutdown": {"delay": 0, "grace": "1500ms", "stream_grace": "2m"}}}, 0 + 2 + 120 + 15),
    ({"router": {"extraEnvs": [{"name": "PORTICO__SHUTDOWN__STREAM_GRACE", "value": "'1d'"}]}}, 5 + 30 + 86400 + 15),
    (
        {
            "config": {"shutdown": {"grace": "10m"}},
            "router": {"extraEnvs": [{"name": "PORTICO__SHUTDOWN__GRACE", "value": "10s"}]},
        },
        5 + 10 + 3600 + 15,
    ),
]


@pytest.mark.parametrize(("given", "seconds"), TIMES)
def test_the_pod_gets_the_time_that_the_gateway_takes_wherever_it_is_said(chart, given, seconds):
    rendering = chart.render(values(**given))
    assert rendering.one("Deployment")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == seconds


def test_a_blank_in_the_configuration_takes_nothing_away(chart):
    blank = {"gateway": {"name": None}, "discovery": {"kubernetes": {"lease": None}}, "state": None, "shutdown": {"grace": None}}
    assert chart.render(values(config=blank)).text == chart.render(values()).text


def test_a_change_of_the_configuration_starts_the_gateway_anew_and_nothing_else_does(chart):
    def pod(**more):
        return chart.render(values(**more)).one("Deployment")["spec"]["template"]

    assert pod() == pod(service={"type": "LoadBalancer"})
    assert pod() != pod(config={"publish": "never"})


BLANKS = ("ingress", "service", "streamSession", "console", "networkPolicy", "shutdown", "image", "imageCredentials", "probes", "router")


@pytest.mark.parametrize("section", BLANKS)
def test_a_section_that_is_left_blank_is_not_said(chart, section):
    said_nothing = chart.render(values())
    assert chart.render(values(**{section: None})).text == said_nothing.text
    assert chart.render(values(networkPolicy={"enabled": None})).text == said_nothing.text


def test_names_without_effect_are_named(chart):
    notes = case(chart, "older-names").notes()
    for name in ("clearml.jwksKey", "proxy.autoReloadConfig"):
        assert f"* {name}: " in notes
    assert "no effect" not in chart.render(values()).notes()


POLICY = {"externalTrafficPolicy": "Local"}
WITHOUT_EFFECT = {
    "service.loadBalancerClass: service.type is ClusterIP": {"service": {"loadBalancerClass": "example.com/tcp"}},
    "service.externalTrafficPolicy: service.type is ClusterIP": {"service": POLICY},
    "service.nodePort: service.type is ClusterIP": {"service": {"nodePort": 30080}},
    "console.nodePort: service.type is ClusterIP": {"console": {"nodePort": 30081}},
    "streamSession.service.externalTrafficPolicy: streamSession.service.type is ClusterIP": {
        "streamSession": {"service": POLICY | {"type": "ClusterIP"}, "portRange": {"start": 30100, "end": 30101}}
    },
    "streamSession.service.loadBalancerSourceRanges: there are no TCP endpoints": {
        "streamSession": {"service": {"loadBalancerSourceRanges": ["10.0.0.0/8"]}}
    },
    "ingress.hostName: there is no Ingress": {"ingress": {"hostName": "gateway.example.com"}},
    "console.tlsSecretName: there is no Ingress": {"console": {"tlsSecretName": "tls"}},
    "console.hostName: there is no Ingress and no HTTPRoute": {
        "console": {"hostName": "console.example.com", "url": "https://console.example.com"}
    },
    "httpRoute.hostnames: there is no HTTPRoute": {"httpRoute": {"hostnames": ["gateway.example.com"]}},
    "networkPolicy.from: there is no NetworkPolicy": {"networkPolicy": {"enabled": False, "from": [{"podSelector": {}}]}},
    "networkPolicy.taskPods.from: there is no NetworkPolicy": {"networkPolicy": {"taskPods": {"from": [{"podSelector": {}}]}}},
}


@pytest.mark.parametrize("said", WITHOUT_EFFECT)
def test_what_has_no_effect_beside_other_values_is_named(chart, said):
    notes = chart.render(values(**WITHOUT_EFFECT[said])).notes()
    told = notes.split("Values that have no effect here:")[1]
    assert told.count("*") == 1 and f"* {said}" in told


def test_the_notes_say_what_an_image_without_a_registry_means(chart):
    def is_told(**more):
        return "names no registry" in chart.render(values(**more)).notes()

    assert is_told() and is_told(image={"repository": "gateways/portico"})
    assert not is_told(image={"registry": "registry.example.com"})
    assert not is_told(image={"repository": "registry.example.com:5000/portico"})
    assert not is_told(**{"global": {"imageRegistry": "registry.example.com"}})


def test_alerts_are_about_the_pods_of_this_release(chart):
    streams = {"routerAddress": "tcp.example.com", "portRange": {"start": 30100, "end": 30101}}
    rendering = chart.render(values(alerts={"enabled": True}, streamSession=streams))
    (group,) = rendering.one("PrometheusRule")["spec"]["groups"]
    selectors = {found for rule in group["rules"] for found in re.findall(r'pod=~"([^"]*)"', rule["expr"])}
    (selector,) = selectors
    assert re.fullmatch(selector, "main-portico-5d9c7b6f4-x2x9k")
    assert not re.fullmatch(selector, "main-portico-other-5d9c7b6f4-x2x9k")
    assert {"PorticoCannotRecordLeases", "PorticoNoPortFree"} <= {rule["alert"] for rule in group["rules"]}
    assert "PorticoNotReady fires for as long as nobody reads the metrics" in rendering.notes()
    assert "PorticoKeysReadable" not in {rule["alert"] for rule in group["rules"]}, "in the tasks' namespace it would never be silent"
    (apart,) = chart.render(values(alerts={"enabled": True}, workloadNamespace="tasks")).one("PrometheusRule")["spec"]["groups"]
    assert "PorticoKeysReadable" in {rule["alert"] for rule in apart["rules"]}
    # Those of "apart" are read.
    assert "nobody reads the metrics:" not in case(chart, "apart").notes()


def test_alerts_ask_for_metrics_that_there_are(chart):
    """A metric, a label or a state that has another name would silence an alert."""
    page = (helm.CHART.parents[1] / "docs/reference/metrics.md").read_text()
    there = {}
    for name, kind, labels, meaning in re.findall(r"^\| `(\w+)` \| (\w+) \| (.*?) \| (.*) \|$", page, re.MULTILINE):
        for suffix in ("_bucket", "_sum", "_count") if kind == "histogram" else ("",):
            there[name + suffix] = (set(re.findall(r"`(\w+)`", labels)), meaning)
    streams = {"routerAddress": "tcp.example.com", "portRange": {"start": 30100, "end": 30101}}
    everything = values(alerts={"enabled": True}, streamSession=streams, workloadNamespace="tasks")
    (group,) = chart.render(everything).one("PrometheusRule")["spec"]["groups"]
    for rule in group["rules"]:
        # As Prometheus reads it: a name, and behind it what is asked of its labels.
        asked = re.findall(r"\b(portico_\w+)(?:\{([^}]*)\})?", re.sub(r"\{\d+\}", "", rule["expr"]))
        assert asked, rule["alert"]
        for name, conditions in asked:
            assert name in there, f"{rule['alert']} asks for {name}"
            labels, meaning = there[name]
            for label, value in re.findall(r'(\w+)=~?"([^"]*)"', conditions):
                # These two are Prometheus's own.
                if label not in ("namespace", "pod"):
                    assert label in labels and re.search(rf"\b{value}\b", meaning), f"{rule['alert']} asks for {name} with {label}={value}"


def test_older_names_do_what_the_newer_ones_do(chart):
    old = case(chart, "older-names")
    newer = {
        "clearml": {"apiKey": "KEY0123456789ABCDEFGH", "apiSecret": "not-a-secret", "sslVerify": False}
        | {"apiServerUrlReference": "https://api.clearml.example.com"},
        "imageCredentials": {"existingImagePullSecrets": [{"name": "mirror"}]},
        "ingress": {"enabled": True, "hostName": "gateway.example.com", "tlsSecretName": "gateway-tls"},
        "streamSession": {"routerAddress": "10.0.0.5", "portRange": {"start": 30100, "end": 30100}},
        "fullnameOverride": "clearml-enterprise-app-gateway",
    }
    assert chart.render(newer).objects() == old.objects()


def test_helm_shows_every_value():
    readme = helm.run("show", "readme", helm.CHART)
    known = json.loads((helm.CHART / "files/values.json").read_text())
    assert [name for name in known["known"] if f"| `{name}`" not in readme] == []
    shown = yaml.safe_load(helm.run("show", "values", helm.CHART))
    assert shown == known["defaults"]


def test_helm_finds_nothing_to_complain_about():
    assert "0 chart(s) failed" in helm.run("lint", "--strict", helm.CHART, "--values", CI / "guide-values.yaml")


def test_a_package_holds_no_test_values(tmp_path):
    helm.run("package", helm.CHART, "--destination", tmp_path)
    (package,) = tmp_path.glob("portico-*.tgz")
    assert helm.run("show", "readme", package) == helm.run("show", "readme", helm.CHART)
    with tarfile.open(package) as archive:
        assert not [name for name in archive.getnames() if "/ci/" in name]


@pytest.mark.parametrize("name", ["alb", "haproxy"])
def test_a_balancer_asks_the_console_for_no_health_that_it_does_not_tell(chart, name):
    """The path for health is the applications'; one annotation is for both hosts."""

    def annotations(**more):
        ingress = {"enabled": True, "className": name}
        return chart.render(values(ingress=ingress, **more)).one("Ingress")["metadata"]["annotations"]

    alone, both = annotations(), annotations(console={"hostName": "console.example.com"})
    assert "/_gateway/health" in alone.values()
    if name == "alb":
        key = "alb.ingress.kubernetes.io/success-codes"
        assert (alone[key], both[key]) == ("200", "200-499")
    else:
        assert "/_gateway/health" not in both.values()
