"""Debian's nginx, for what people put in front of a gateway: a cache, or TLS."""

import subprocess

import httpx

from .process import Process, clean_env
from .programs import NGINX
from .wait import until

_CONFIGURATION = """
daemon off;
user root;
worker_processes 1;
pid {directory}/nginx.pid;
error_log stderr warn;
events {{}}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    proxy_cache_path {directory}/cache keys_zone=all:1m;
    map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
    {servers}
}}
"""

_CACHE = """
    server {{
        listen {listen};
        location / {{
            proxy_pass {upstream};
            proxy_set_header Host $http_host;
            proxy_cache all;
            # As a careless operator writes it: whoever asks gets the same.
            proxy_cache_key $http_host$request_uri;
            proxy_cache_valid 200 302 404 10m;
            add_header X-Cache $upstream_cache_status always;
        }}
    }}
"""

_TLS = """
    server {{
        listen {listen} ssl;
        ssl_certificate {directory}/certificate.pem;
        ssl_certificate_key {directory}/key.pem;
        location / {{
            proxy_pass {upstream};
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto https;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
        }}
    }}
"""


class Nginx:
    """One nginx with servers, each `(kind, port, upstream)`; the kind is `cache` or `tls`."""

    def __init__(self, directory, servers):
        directory.mkdir(parents=True, exist_ok=True)
        if any(kind == "tls" for kind, *_ in servers):
            _certify(directory)
        kinds = {"cache": _CACHE, "tls": _TLS}
        written = "".join(
            kinds[kind].format(listen=f"0.0.0.0:{port}", upstream=upstream, directory=directory) for kind, port, upstream in servers
        )
        file = directory / "nginx.conf"
        file.write_text(_CONFIGURATION.format(directory=directory, servers=written))
        self.process = Process("nginx", [NGINX, "-p", directory, "-c", file, "-e", "stderr"], directory, env=clean_env())
        for kind, port, _ in servers:
            until(lambda kind=kind, port=port: self._answers(kind, port), what="nginx answers")

    def _answers(self, kind, port):
        self.process.must_run()
        scheme = "https" if kind == "tls" else "http"
        try:
            return httpx.get(f"{scheme}://127.0.0.1:{port}/", verify=False, trust_env=False) is not None
        except httpx.TransportError:
            return False

    def stop(self):
        """Ends it."""
        self.process.stop()


def _certify(directory):
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=example.test", "-addext", "subjectAltName=DNS:*.example.test,DNS:*.other.test"]
    command += ["-keyout", directory / "key.pem", "-out", directory / "certificate.pem"]
    subprocess.run(command, check=True, capture_output=True)
