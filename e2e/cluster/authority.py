"""The run's own authority, as a company has one: who trusts it, and what it signs."""

import os
import ssl
import subprocess
from pathlib import Path

import httpx

RUN = Path(os.environ.get("PORTICO_CLUSTER_ROOT", "/nonexistent"))
AUTHORITY = RUN / "trust/ca.crt"


def trust():
    """What trusts the run's authority."""
    return ssl.create_default_context(cafile=AUTHORITY)


def visit(url, auth=None):
    """The status that a program gets there, which trusts the run's authority; nothing while nobody answers."""
    try:
        return httpx.get(url, auth=auth, verify=trust(), trust_env=False, timeout=10).status_code
    except httpx.TransportError:
        return None


def sign(directory, name, *hosts):
    """A certificate for the hosts, and its key: the files `<name>.crt` and `<name>.key` of the directory."""
    (directory / "names").write_text("subjectAltName=" + ",".join(f"DNS:{host}" for host in hosts) + "\n")
    new = f"openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN={hosts[0]} -keyout {name}.key -out csr"
    by = f"openssl x509 -req -days 30 -in csr -extfile names -CA {AUTHORITY} -CAkey {AUTHORITY.with_suffix('.key')} -CAcreateserial"
    subprocess.run(f"{new} && {by} -out {name}.crt", shell=True, cwd=directory, check=True, capture_output=True)
