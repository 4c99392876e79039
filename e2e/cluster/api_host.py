"""The ClearML server as the guides call it: `https://api.…`, behind the cluster's ingress, with a certificate of a company's own authority."""

import httpx
from authority import sign, trust
from kubernetes_world import NODE, until

HOST = "api.clearml.example.com"
URL = f"https://{HOST}"


def offer(cluster, directory):
    """Lets the ingress lead to the server, and waits until it does."""
    sign(directory, "api", HOST)
    pair = {f"tls.{kind}": (directory / f"api.{kind}").read_text() for kind in ("crt", "key")}
    secret = {"name": "api-tls", "namespace": "clearml"}
    backend = {"service": {"name": "clearml", "port": {"number": 8008}}}
    spec = {
        "ingressClassName": "contour",
        "tls": [{"hosts": [HOST], "secretName": "api-tls"}],
        "rules": [{"host": HOST, "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}],
    }
    about = {"name": "api", "namespace": "clearml"}
    cluster.apply(
        {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": secret, "stringData": pair},
        {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": about, "spec": spec},
    )
    until(_answers, "the ClearML server answers by its name")


def _answers():
    with httpx.Client(verify=trust(), trust_env=False, timeout=5) as client:
        # Only gateways' pods know the name.
        return client.get(f"https://{NODE}/debug.ping", headers={"host": HOST}, extensions={"sni_hostname": HOST}).status_code == 200


def aliases(cluster):
    """The chart's value `hostAliases`, in place of a name service: the name is the ingress controller's."""
    controller = cluster.get("projectcontour", "service", "envoy")["spec"]["clusterIP"]
    return [{"ip": controller, "hostnames": [HOST]}]
