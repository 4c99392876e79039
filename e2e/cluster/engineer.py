"""Somebody who installs Portico: a shell, a registry's password, and the rights of an administrator of one namespace."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import api_host
import yaml
from authority import AUTHORITY, RUN, sign, visit
from kubernetes_world import ROOT, merge, until
from world.pages import blocks

REGISTRY = "registry.example.com"
# The names that the tests' /etc/hosts has, and that one certificate is for.
HOSTS = ("gateway.example.com", "console.example.com")


class Engineer:
    """A user with one namespace of their own, whose shell has what the how-to pages ask for."""

    def __init__(self, cluster, namespace, directory):
        self.cluster, self.namespace, self.directory = cluster, namespace, directory
        cluster.namespace(namespace)
        self._bind()
        # The API server hears of a binding a little later.
        self.may("create", "secrets")
        self._kubeconfig()
        (directory / "bin").mkdir()
        for variable in ("PORTICO_CLUSTER_KUBECTL", "PORTICO_CLUSTER_HELM"):
            program = Path(os.environ[variable].split()[0])
            (directory / "bin" / program.name).symlink_to(program)
        (directory / "charts").symlink_to(ROOT / "charts")
        (directory / "token").write_text((RUN / "config/registry-password").read_text())

    def _bind(self):
        """The ready-made role `admin`, in this namespace and nowhere else."""
        about = {"name": "engineer", "namespace": self.namespace}
        subject = {"kind": "ServiceAccount", **about}
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"}
        self.cluster.apply(
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": about},
            {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": about, "subjects": [subject], "roleRef": role},
        )

    def _kubeconfig(self):
        config = json.loads(self.cluster.kubectl("config", "view", "--raw", "-o", "json"))
        token = self.cluster.kubectl("-n", self.namespace, "create", "token", "engineer", "--duration=2h")
        (name,) = (user["name"] for user in config["users"])
        config["users"] = [{"name": name, "user": {"token": token}}]
        (self.directory / "kubeconfig").write_text(json.dumps(config))

    def type(self, command, status=0, within=300):
        """What the shell says to a page's command, in this user's namespace in place of the page's."""
        command = command.replace("-n workloads", f"-n {self.namespace}")
        home = Path.home()
        env = {
            "PATH": f"{self.directory}/bin:{os.environ['PATH']}",
            "HOME": str(self.directory),
            "KUBECONFIG": str(self.directory / "kubeconfig"),
            "REGISTRY_AUTH_FILE": str(self.directory / "registry-login.json"),
            # Everything here is signed by the run's own authority.
            "SSL_CERT_FILE": str(AUTHORITY),
            "NO_PROXY": "*",
            # The checkout is elsewhere.
            "CARGO_ALIAS_XTASK": f"run --quiet --manifest-path {ROOT}/Cargo.toml --package xtask --",
            "CARGO_HOME": os.environ.get("CARGO_HOME", str(home / ".cargo")),
            "RUSTUP_HOME": os.environ.get("RUSTUP_HOME", str(home / ".rustup")),
            # The checkout names its toolchain to those who are in it.
            **{name: value for name, value in os.environ.items() if name == "RUSTUP_TOOLCHAIN"},
            "PORTICO_CACHE": str(RUN.parent),
        }
        done = subprocess.run(command, shell=True, cwd=self.directory, env=env, capture_output=True, text=True, timeout=within, check=False)
        assert done.returncode == status, f"{command}: {done.stdout}{done.stderr}\n{self.news()}"
        return done.stdout

    def news(self):
        """What happened in the namespace, and what the gateway wrote: for a failure's report."""
        asked = (["get", "events", "--sort-by=.lastTimestamp"], ["logs", "-l", "app.kubernetes.io/name=portico", "--tail=40"])
        return "\n".join(self.cluster.kubectl("-n", self.namespace, *arguments) for arguments in asked)

    def type_image(self, command):
        """Types the command that makes the image, or takes the one that is ready: the real one takes minutes, and `cluster load` another."""
        ready = os.environ.get("PORTICO_CLUSTER_IMAGE")
        if ready:
            shutil.copy(ready, self.directory / "portico.tar")
        else:
            # It is being built already, for which this waits.
            self.type(command, within=1800)

    def log_in(self):
        """Lets helm read from the registry."""
        self.type(f"helm registry login {REGISTRY} --username someone --password-stdin < token")

    def certificate(self, *hosts):
        """A certificate of the run's authority, for the page's two hosts if no others are named, as files `gateway.crt` and `gateway.key`."""
        sign(self.directory, "gateway", *(hosts or HOSTS))

    def write_values(self, page, *more, replacing=()):
        """The page's first values and those blocks of `more` over them, as this world needs them."""
        texts = blocks(page, "yaml")
        values = {}
        for index in (0, *more):
            text = texts[index]
            for example, ours in replacing:
                text = text.replace(example, ours)
            merge(values, yaml.safe_load(text))
        (self.directory / "values.yaml").write_text(json.dumps(self.here(values)))

    def here(self, values):
        """The values with this world's key, registry and ingress class in place of the examples', and what leads to the page's server: its
        name, which no name service knows, and the authority that signed its certificate."""
        access, secret = self.cluster.key("admin")
        clearml = values["clearml"]
        assert clearml["apiServerUrlReference"] == api_host.URL
        values["hostAliases"] = api_host.aliases(self.cluster)
        if clearml.get("sslVerify", True):
            values.setdefault("customCertificates", {"extraCerts": [{"alias": "company", "pem": AUTHORITY.read_text()}]})
        if "existingSecret" not in clearml:
            clearml |= {"apiKey": access, "apiSecret": secret}
        values["imageCredentials"] = {"registry": REGISTRY, "username": "someone", "password": (self.directory / "token").read_text()}
        if "className" in values.get("ingress", {}):
            values["ingress"]["className"] = "contour"
        return values

    def may(self, verb, what):
        """Waits until this user has that right."""
        someone = f"system:serviceaccount:{self.namespace}:engineer"

        def is_allowed():
            try:
                return self.cluster.kubectl("auth", "can-i", verb, what, "-n", self.namespace, "--as", someone).strip() == "yes"
            except AssertionError:  # it says no with its status, too
                return False

        until(is_allowed, f"the engineer may {verb} {what}")

    def keep_key(self):
        """The Secret `clearml-credentials` that some pages begin with."""
        access, secret = self.cluster.key("admin")
        given = f"--from-literal=apiKey={access} --from-literal=apiSecret={secret}"
        self.type(f"kubectl -n workloads create secret generic clearml-credentials {given}")

    def serves(self, url):
        """That a task of this namespace is served at the gateway's address, published with it, and kept from strangers. Returns the task."""
        task = self.cluster.asking(7000)
        self.cluster.pod(self.namespace, task)
        until(lambda: visit(f"{url}/service/{task}/debug.ping", self.cluster.key("alice")) == 200, "the pod's application answers")
        assert visit(f"{url}/service/{task}/debug.ping") == 401
        published = until(lambda: self.cluster.published(task), "the address stands in the task")
        assert published.startswith(f"{url}/service/{task}"), published
        return task

    def shows_console(self, url):
        """That the console is there. It has a way of its own through the cluster, which may be ready later than the tasks'."""
        until(lambda: visit(f"{url}/login") == 200, "the console answers")

    def __enter__(self):
        return self

    def __exit__(self, *error):
        """Removes what is left. The release goes first: a namespace waits for half of the time that its pods are given to end."""
        self.type("helm uninstall main -n workloads --ignore-not-found --wait")
        self.cluster.kubectl("-n", self.namespace, "delete", "pods", "--all", "--now")
        self.cluster.kubectl("delete", "namespace", self.namespace, "--wait=false")
