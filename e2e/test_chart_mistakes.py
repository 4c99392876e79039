"""Values that cannot be installed fail before anything is installed, all at once, each with what to write instead."""

import pytest
from world import helm

REQUIRED = {
    "clearml": {"existingSecret": "credentials", "apiServerUrlReference": "https://api.clearml.example.com"},
    "externalURL": "https://gateway.example.com",
}
HTTP = "http://10.0.0.5:30080"
PEM = {"alias": "company", "pem": "-----BEGIN CERTIFICATE-----"}


@pytest.fixture(scope="module")
def chart(tmp_path_factory):
    """Our chart."""
    return helm.Chart(tmp_path_factory.mktemp("chart"))


def streams(start=None, end=None, **more):
    """Values with TCP endpoints."""
    return {"streamSession": {"routerAddress": "tcp.example.com", "portRange": {"start": start, "end": end}} | more}


def variable(name, value):
    """Values with a variable of the container."""
    return {"router": {"extraEnvs": [{"name": name, "value": value}]}}


def mistakes(chart, given):
    """What the chart says about values, line by line; with the required ones unless they are given."""
    rendering = chart.render({**REQUIRED, **given})
    assert not rendering.worked, "the values were taken"
    return [line.removeprefix("  * ") for line in rendering.error.splitlines() if line.startswith("  * ")]


NAMES = [
    ({"ingress": {"hostNmae": "a"}}, "ingress.hostNmae", "ingress.hostName"),
    ({"hostName": "a"}, "hostName", "ingress.hostName"),
    ({"clearml": REQUIRED["clearml"] | {"apikey": "a"}}, "clearml.apikey", "clearml.apiKey"),
    ({"replicas": 2}, "replicas", "replicaCount"),
    ({"tcpsession": {"portRange": {"start": 1}}}, "tcpsession", "tcpSession"),
    ({"streamSession": {"portRange": {"strat": 30100}}}, "streamSession.portRange.strat", "streamSession.portRange.start"),
    ({"service": {"nodeport": 30080}}, "service.nodeport", "service.nodePort"),
    ({"externalUrl": "https://a"}, "externalUrl", "externalURL"),
    ({"extraEnvs": []}, "extraEnvs", "router.extraEnvs"),
    ({"router": {"resources": {"limits": {}}}}, "router.resources", "resources"),
    ({"imagePullSecrets": []}, "imagePullSecrets", "imageCredentials.existingImagePullSecrets"),
]


@pytest.mark.parametrize(("given", "name", "nearest"), NAMES)
def test_an_unknown_name_fails_with_the_nearest_one(chart, given, name, nearest):
    assert mistakes(chart, given) == [f"{name} is no value of this chart; did you mean {nearest}?"]


ILL_TYPED = [
    ({"ingress": {"enabled": "yes"}}, "at '/ingress/enabled': got string, want null or boolean"),
    ({"service": {"nodePort": "30080"}}, "at '/service/nodePort': got string, want null or integer"),
    ({"service": {"type": "Nodeport"}}, "at '/service/type': value must be one of"),
    ({"streamSession": {"portRange": {"start": 70000}}}, "at '/streamSession/portRange/start': maximum: got 70,000, want 65,535"),
    ({"tcpSession": {"portRange": "30100-30200"}}, "at '/tcpSession/portRange': got string, want null or object"),
    ({"router": {"extraEnvs": {"A": "b"}}}, "at '/router/extraEnvs': got object, want null or array"),
    ({"router": {"extraEnvs": [{"value": "b"}]}}, "at '/router/extraEnvs/0': missing property 'name'"),
    ({"ingress": {"annotations": {"a": 1}}}, "at '/ingress/annotations/a': got number, want null or string"),
    ({"replicaCount": 2}, "at '/replicaCount': maximum: got 2, want 1"),
]


@pytest.mark.parametrize(("given", "said"), ILL_TYPED)
def test_an_ill_typed_value_fails(chart, given, said):
    rendering = chart.render({**REQUIRED, **given})
    assert not rendering.worked
    assert said in rendering.error


WRONG = {
    "no URL": ({"externalURL": ""}, "the gateway has no URL: set externalURL, for example https://gateway.example.com"),
    "no URL with an ingress": (
        {"externalURL": "", "ingress": {"enabled": True}},
        "the gateway has no URL: set ingress.hostName, or externalURL",
    ),
    "no origin": (
        {"externalURL": "https://gateway.example.com/path"},
        'externalURL is "https://gateway.example.com/path": write scheme, host and port and nothing else',
    ),
    "two hosts": (
        {"ingress": {"enabled": True, "hostName": "other.example.com"}},
        "ingress.hostName is other.example.com and externalURL's host is gateway.example.com",
    ),
    "a certificate and http": (
        {"externalURL": "http://a.example.com", "ingress": {"enabled": True, "tlsSecretName": "tls"}},
        "ingress.tlsSecretName is set and externalURL begins with http://: write https://a.example.com",
    ),
    "http and Secure cookies": (
        {"externalURL": HTTP, "router": {"extraEnvs": [{"name": "AUTH_SECURE_ENABLED", "value": "true"}]}},
        "AUTH_SECURE_ENABLED in router.extraEnvs is true, and browsers never send a Secure cookie back over http://:"
        ' set it to "false", or use https:// in externalURL',
    ),
    "http and Secure cookies by configuration": (
        {"externalURL": HTTP, "config": {"session": {"cookie_secure": True}}},
        "session.cookie_secure in config is true, and browsers never send",
    ),
    "one URL for two": (
        {"console": {"hostName": "gateway.example.com"}},
        "the console and the gateway have one URL, https://gateway.example.com: choose another host for the console",
    ),
    "a console's host that nothing leads to": (
        {"console": {"hostName": "console.example.com"}},
        "console.hostName is console.example.com, and there is no Ingress and no HTTPRoute that could lead it to the console: set"
        " console.url to the address with its port, for example https://console.example.com:8012",
    ),
    "a configured name": (
        {"config": {"gateway": {"name": "other", "url": "https://gateway.example.com/"}}},
        "config.gateway.name contradicts objects that the chart makes: set the release name instead",
    ),
    "a configured URL": (
        {"config": {"gateway": {"url": "https://other.example.com"}}},
        "config.gateway.url contradicts objects that the chart makes: set externalURL instead",
    ),
    "a configured console": (
        {"config": {"console": {"url": "https://console.example.com"}}},
        "config.console.url contradicts objects that the chart makes: set console.url instead",
    ),
    "a configured namespace": (
        {"config": {"discovery": {"kubernetes": {"namespace": "tasks"}}}},
        "config.discovery.kubernetes.namespace contradicts objects that the chart makes: set workloadNamespace instead",
    ),
    "a configured kind of discovery": (
        {"config": {"discovery": {"kind": "host"}}},
        "config.discovery.kind contradicts objects that the chart makes: leave it out; it is kubernetes here",
    ),
    "a configured Lease": (
        {"config": {"discovery": {"kubernetes": {"lease": "other"}}}},
        "config.discovery.kubernetes.lease contradicts objects that the chart makes: set fullnameOverride instead",
    ),
    "a configured kind of state": (
        {"config": {"state": {"kind": "file"}}},
        "config.state.kind contradicts objects that the chart makes: leave it out; it is kubernetes here",
    ),
    "a configured namespace of the state": (
        {"config": {"state": {"kubernetes": {"namespace": "other"}}}},
        "config.state.kubernetes.namespace contradicts objects that the chart makes: set the release's namespace instead (helm's --namespace)",
    ),
    "configured Secrets of the state": (
        {"config": {"state": {"kubernetes": {"secret": "other"}}}},
        "config.state.kubernetes.secret contradicts objects that the chart makes: set fullnameOverride instead",
    ),
    "a configured socket": (
        {"config": {"control": {"socket": "/tmp/control.sock"}}},
        "config.control.socket contradicts objects that the chart makes: leave it out; it is /run/portico/control.sock here",
    ),
    "a variable with another socket": (
        variable("PORTICO_CONTROL_SOCKET", "/tmp/control.sock"),
        "PORTICO_CONTROL_SOCKET in router.extraEnvs contradicts objects that the chart makes: leave it out",
    ),
    "a variable with another file": (
        variable("PORTICO_CONFIG", "/data/portico.yaml"),
        "PORTICO_CONFIG in router.extraEnvs contradicts objects that the chart makes: write settings in config instead",
    ),
    "a time that the pod cannot be given": (
        {"config": {"shutdown": {"stream_grace": "4 hours"}}},
        "config.shutdown.stream_grace is no duration that the chart can read, and it has to give the pod this time: write a number with its"
        " unit, such as 90s or 4h, or set shutdown.streamGraceSeconds instead",
    ),
    "a time without a unit": (
        {"config": {"shutdown": {"delay": 5}}},
        "config.shutdown.delay is no duration that the chart can read",
    ),
    "a variable with a time that comes from elsewhere": (
        {"router": {"extraEnvs": [{"name": "PORTICO__SHUTDOWN__GRACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]}},
        "PORTICO__SHUTDOWN__GRACE in router.extraEnvs is no duration that the chart can read",
    ),
    "a configured address of streams": (
        streams(30100, 30101) | {"config": {"streams": {"external_url": "other.example.com", "port_range": {"start": 30100, "end": 30101}}}},
        "config.streams.external_url contradicts objects that the chart makes: set streamSession.routerAddress instead",
    ),
    "a configured range": (
        streams(30100, 30101) | {"config": {"streams": {"port_range": {"end": 30109}}}},
        "config.streams.port_range.end contradicts objects that the chart makes: set streamSession.portRange instead",
    ),
    "a configured listener": (
        {"config": {"http": {"listen": 9090}}},
        "config.http.listen contradicts objects that the chart makes, which lead to port 8080: leave it out",
    ),
    "a listener that only the pod itself reaches": (
        {"config": {"operations": {"listen": "127.0.0.1:8013"}}},
        "config.operations.listen contradicts objects that the chart makes, which lead to port 8013: leave it out",
    ),
    "a variable with another port": (
        variable("ROUTER__WEBSERVER__SERVER_PORT", "8010"),
        "ROUTER__WEBSERVER__SERVER_PORT in router.extraEnvs contradicts objects that the chart makes, which lead to port 8080: leave it out",
    ),
    "a variable with another range": (
        variable("TCP_PORT_START", "30100"),
        "TCP_PORT_START in router.extraEnvs contradicts objects that the chart makes: set streamSession.portRange instead",
    ),
    "a variable that comes from elsewhere": (
        {"router": {"extraEnvs": [{"name": "PORTICO__GATEWAY__NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]}},
        "PORTICO__GATEWAY__NAME in router.extraEnvs contradicts objects that the chart makes: set the release name instead",
    ),
    "networks that only a load balancer keeps to": (
        {"service": {"loadBalancerSourceRanges": ["10.0.0.0/8"]}},
        "service.loadBalancerSourceRanges does nothing with service.type ClusterIP, and the port would be open to everybody:"
        " set service.type to LoadBalancer, or leave it out and say in networkPolicy.from who may come",
    ),
    "networks that only a load balancer keeps to, for streams": (
        streams(30100, 30101, service={"loadBalancerSourceRanges": ["10.0.0.0/8"]}),
        "streamSession.service.loadBalancerSourceRanges does nothing with streamSession.service.type NodePort, and the ports would be open"
        " to everybody: set streamSession.service.type to LoadBalancer, or leave it out and set config.streams.admission to networks",
    ),
    "an account that others have": (
        {"serviceAccount": {"create": False}},
        'serviceAccount.create is false and serviceAccount.name is blank: the account "default", which other pods of the namespace have,'
        " would get the gateway's rights; set serviceAccount.name to an account of the gateway's own",
    ),
    "a URL's port that is no node port": (
        {"externalURL": "http://10.0.0.5:8080", "service": {"type": "NodePort"}},
        "service.nodePort is 8080, taken from externalURL, outside of the cluster's node ports 30000-32767: set service.nodePort",
    ),
    "no node port": (
        {"externalURL": HTTP, "service": {"type": "NodePort", "nodePort": 80}},
        "service.nodePort is 80, outside of the cluster's node ports 30000-32767",
    ),
    "streams outside of the node ports": (
        streams(10000, 10003),
        "streamSession.portRange is 10000 to 10003, outside of the cluster's node ports 30000-32767",
    ),
    "streams over the HTTP port": (
        {"externalURL": HTTP, "service": {"type": "NodePort"}} | streams(30070, 30090),
        "service.nodePort 30080 lies in streamSession.portRange, 30070 to 30090: choose a port outside, or another range",
    ),
    "streams over the gateway's own ports": (
        streams(8013, 8020, service={"type": "ClusterIP"}),
        "streamSession.portRange holds 8013, on which the gateway itself listens",
    ),
    "no end": (streams(30100), "streamSession.portRange.start is 30100 and end is blank: set the end, or leave both blank"),
    "no start": (streams(None, 30100), "streamSession.portRange.end is 30100 and start is blank: set the start, or leave both blank"),
    "end before start": (streams(30110, 30100), "streamSession.portRange starts at 30110 and ends at 30100"),
    "many ports": (
        streams(30000, 30599),
        "streamSession.portRange has 600 ports, and each is a rule on every node of the cluster: choose at most 500, or set"
        " streamSession.allowManyPorts to true",
    ),
    "many ports of a load balancer": (
        streams(30000, 30050, service={"type": "LoadBalancer"}),
        "streamSession.portRange has 51 ports, and most clouds give a load balancer at most 50: choose at most 50, or set"
        " streamSession.allowManyPorts to true",
    ),
    "low ports": (streams(22, 22, service={"type": "LoadBalancer"}), "streamSession.portRange.start is 22, and ports below 1024"),
    "no address for streams": (
        {"ingress": {"enabled": True}, "streamSession": {"portRange": {"start": 30100, "end": 30100}}},
        "streamSession.routerAddress is blank: set the host name or IP address under which clients reach the ports",
    ),
    "a URL for streams": (
        {"streamSession": {"routerAddress": "tcp://a:1", "portRange": {"start": 30100, "end": 30100}}},
        'streamSession.routerAddress is "tcp://a:1": write a host name or an IP address, without scheme and port',
    ),
    "two names for one value": (
        {"tcpSession": {"routerAddress": "a"}, "streamSession": {"routerAddress": "b"}},
        "tcpSession.routerAddress and streamSession.routerAddress differ: they are the older and the newer name of one value",
    ),
    "both certificate forms": (
        {"customCertificates": {"overrideCaCertificatesCrt": PEM["pem"], "extraCerts": [PEM]}},
        "customCertificates.overrideCaCertificatesCrt and customCertificates.extraCerts exclude each other",
    ),
    "a route to nowhere": ({"httpRoute": {"enabled": True}}, "httpRoute.enabled needs a Gateway: set httpRoute.parentRefs"),
    "a password without a user": (
        {"imageCredentials": {"registry": "registry.example.com", "password": "a"}},
        "imageCredentials.password has no user name: set imageCredentials.username",
    ),
    "no API server": (
        {"clearml": {"existingSecret": "a"}},
        "clearml.apiServerUrlReference is blank: set the ClearML API server's URL",
    ),
    "no URL of an API server": (
        {"clearml": {"existingSecret": "a", "apiServerUrlReference": "dummy"}},
        'clearml.apiServerUrlReference is "dummy": set a URL, for example https://api.clearml.example.com',
    ),
    "two kinds of keys": (
        {"clearml": REQUIRED["clearml"] | {"apiKey": "a"}},
        "clearml.existingSecret and clearml.apiKey exclude each other",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_contradicts_itself_fails_with_what_to_write(chart, name):
    given, said = WRONG[name]
    (mistake,) = mistakes(chart, given)
    assert mistake.startswith(said)


# The key's own variable says the same as the key.
@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("PORTICO__DISCOVERY__KIND", "leave it out; it is kubernetes here"),
        ("PORTICO__DISCOVERY__KUBERNETES__LEASE", "set fullnameOverride instead"),
        ("PORTICO__STATE__KIND", "leave it out; it is kubernetes here"),
        ("PORTICO__STATE__KUBERNETES__NAMESPACE", "set the release's namespace instead (helm's --namespace)"),
        ("PORTICO__STATE__KUBERNETES__SECRET", "set fullnameOverride instead"),
        ("PORTICO__CONTROL__SOCKET", "leave it out; it is /run/portico/control.sock here"),
    ],
)
def test_a_variable_that_contradicts_the_chart_fails_as_the_key_does(chart, name, instead):
    said = f"{name} in router.extraEnvs contradicts objects that the chart makes: {instead}"
    assert mistakes(chart, variable(name, "other")) == [said]


AGREEING = {
    "config": {
        "gateway": {"name": "main", "url": "https://gateway.example.com"},
        "http": {"listen": ["0.0.0.0:8080", "[::]:8080"]},
        "discovery": {"kind": "kubernetes", "kubernetes": {"namespace": "workloads", "lease": "main-portico"}},
        "state": {"kind": "kubernetes", "kubernetes": {"namespace": "workloads", "secret": "main-portico"}},
        "control": {"socket": "/run/portico/control.sock"},
    },
    "router": {"extraEnvs": [{"name": "ROUTER_NAME", "value": "main"}, {"name": "TCP_PORT_START", "value": ""}]},
}


def test_what_says_the_same_as_the_chart_is_taken(chart):
    rendering = chart.render({**REQUIRED, **AGREEING})
    assert rendering.worked, rendering.error
    assert rendering.config()["http"]["listen"] == ["0.0.0.0:8080", "[::]:8080"]


def test_all_mistakes_are_told_at_once(chart):
    said = mistakes(chart, {"clearml": None, "externalURL": "", "httpRoute": {"enabled": True}} | streams(30100))
    assert [mistake.split(" ")[0] for mistake in said] == [
        "clearml.apiKey",
        "clearml.apiSecret",
        "clearml.apiServerUrlReference",
        "the",
        "streamSession.portRange.start",
        "httpRoute.enabled",
    ]
