"""A Kubernetes API server with nothing that runs: etcd and kube-apiserver, as `cargo xtask cluster` has built them."""

import base64
import json
import os
import ssl
import subprocess
from pathlib import Path

import httpx
from world.namespace import GATEWAY, free_port
from world.process import Process, clean_env
from world.wait import until

TOKEN = "administrator-of-the-bench"
ACCOUNT_TOKEN = "gateway-of-the-bench"
NAMESPACE = "workloads"
NAME = "bench"
SECRETS = [f"{NAME}-{document}" for document in ("session-keys", "observation", "leases", "state")]


def _program(package, name):
    cache = Path(os.environ.get("PORTICO_CACHE") or Path.home() / ".cache" / "portico")
    found = sorted(cache.glob(f"{package}-*/{name}"))
    if not found:
        raise SystemExit(f"{name} is missing: cargo xtask cluster up builds it")
    return found[-1]


class ApiServer:
    """Both processes; asked as an administrator."""

    def __init__(self, directory):
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.port = free_port()
        self.url = f"https://{GATEWAY}:{self.port}"
        client, peer = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
        self._certificates()
        (directory / "tokens.csv").write_text(f"{TOKEN},admin,admin,system:masters\n{ACCOUNT_TOKEN},gateway,gateway\n")
        etcd = [
            _program("etcd", "etcd"), "--data-dir", directory / "etcd", "--name", "only", "--unsafe-no-fsync",
            "--listen-client-urls", client, "--advertise-client-urls", client,
            "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"only={peer}",
        ]  # fmt: skip
        server = [
            _program("kubernetes", "kube-apiserver"), "--etcd-servers", client, "--secure-port", self.port,
            "--bind-address", GATEWAY, "--advertise-address", GATEWAY, "--authorization-mode", "RBAC",
            # Without a controller nobody makes the accounts that pods would need.
            "--disable-admission-plugins", "ServiceAccount", "--service-cluster-ip-range", "198.18.2.0/24",
            "--service-account-issuer", "https://kubernetes.default.svc",
            "--service-account-signing-key-file", directory / "key.pem", "--service-account-key-file", directory / "key.pem",
            "--tls-cert-file", directory / "server.crt", "--tls-private-key-file", directory / "key.pem",
            "--token-auth-file", directory / "tokens.csv",
        ]  # fmt: skip
        self._processes = [Process(Path(argv[0]).name, argv, directory, env=clean_env()) for argv in (etcd, server)]
        verify = ssl.create_default_context(cafile=directory / "ca.crt")
        self._client = httpx.Client(base_url=self.url, verify=verify, headers={"Authorization": f"Bearer {TOKEN}"}, trust_env=False, timeout=30)
        until(self._is_ready, within=60, what="the API server is ready")

    def _certificates(self):
        for command in (
            "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority -keyout authority.pem -out ca.crt",
            "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=bench -CA ca.crt -CAkey authority.pem -keyout key.pem -out server.crt"
            f" -addext subjectAltName=IP:{GATEWAY} -addext basicConstraints=critical,CA:FALSE",
        ):
            subprocess.run(["openssl", *command.split()], cwd=self.directory, check=True, capture_output=True)

    def _is_ready(self):
        for process in self._processes:
            process.must_run()
        try:
            return self._client.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def ask(self, method, path, body=None, kind="application/json"):
        """One request; returns the answer, and fails with the server's words."""
        content = None if body is None else json.dumps(body)
        answer = self._client.request(method, path, content=content, headers={"Content-Type": kind})
        assert answer.is_success, answer.text
        return answer.json()

    def install(self):
        """What the chart makes: Lease, Secrets and the least rights."""
        rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{NAMESPACE}"
        core = f"/api/v1/namespaces/{NAMESPACE}"
        coordination = "coordination.k8s.io"
        self.ask("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        lease = {"metadata": {"name": NAME, "labels": {"portico/gateway": NAME}}}
        self.ask("POST", f"/apis/{coordination}/v1/namespaces/{NAMESPACE}/leases", lease)
        for name in SECRETS:
            self.ask("POST", f"{core}/secrets", {"metadata": {"name": name}, "type": "Opaque"})
        rules = [
            {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]},
            {"apiGroups": [""], "resources": ["events"], "verbs": ["create"]},
            {"apiGroups": [coordination], "resources": ["leases"], "verbs": ["list", "watch"]},
            {"apiGroups": [coordination], "resources": ["leases"], "resourceNames": [NAME], "verbs": ["get", "update"]},
            {"apiGroups": [""], "resources": ["secrets"], "resourceNames": SECRETS, "verbs": ["get", "watch", "update"]},
        ]
        self.ask("POST", f"{rbac}/roles", {"metadata": {"name": NAME}, "rules": rules})
        binding = {
            "metadata": {"name": NAME},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": NAME},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "gateway"}],
        }
        self.ask("POST", f"{rbac}/rolebindings", binding)

    def make_pod(self, task, secret_bytes):
        """A pod as the agent makes it: its owner's configuration stands in it twice."""
        name = f"clearml-id-{task}"
        secret = base64.b64encode(os.urandom(secret_bytes * 3 // 4)).decode()
        pod = {
            "metadata": {
                "name": name,
                "labels": {"CLEARML": "agent-2214c01d", "clearml-agent-queue": "929bd9a8", "clearml-agent-queue-name": "gpu-queue"},
                "annotations": {"kubectl.kubernetes.io/last-applied-configuration": secret},
            },
            "spec": {
                "restartPolicy": "Never",
                "nodeName": "node",
                "containers": [{"name": name, "image": "i", "args": [secret], "env": [{"name": "CLEARML_WORKER_ID", "value": f"vm:0:{task}"}]}],
            },
        }
        self.ask("POST", f"/api/v1/namespaces/{NAMESPACE}/pods", pod)

    def give_status(self, task, address, is_ready=True):
        """What a kubelet would write."""
        status = {
            "phase": "Running", "podIP": address, "podIPs": [{"ip": address}],
            "conditions": [{"type": "Ready", "status": str(is_ready)}],
        }  # fmt: skip
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/clearml-id-{task}/status"
        self.ask("PATCH", path, {"status": status}, kind="application/merge-patch+json")

    def remove_pod(self, task):
        """Ends a pod at once."""
        self.ask("DELETE", f"/api/v1/namespaces/{NAMESPACE}/pods/clearml-id-{task}", {"gracePeriodSeconds": 0})

    def stop(self):
        """Ends both."""
        self._client.close()
        for process in reversed(self._processes):
            process.stop()
