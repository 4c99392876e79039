"""nginx, as the application and as the proxy that does the same work as Portico."""

import httpx
from world.namespace import GATEWAY, WORKER, free_port
from world.process import Process, clean_env
from world.programs import NGINX
from world.wait import until

from bench.load import OTHER_CORE, PROXY_CORE, on_core

_FRAME = """
daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 8192; }}
http {{
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    keepalive_requests 1000000000;
    {body}
}}
"""

_APPLICATION = """
    access_log off;
    sendfile on;
    tcp_nopush on;
    server {{
        listen {address}:{port};
        root {directory}/files;
    }}
"""

# The work of a gateway: find the application among all, check who comes, take the credential and the prefix away, say who came
# and how, keep connections to the application, and bound what the answer says to caches.
_GATEWAY = """
    access_log {log};
    map_hash_max_size 65536;
    map_hash_bucket_size 128;
    proxy_max_temp_file_size 0;
    map $task $backend {{
        default "";
        include {directory}/tasks.map;
    }}
    map $cookie_session $user {{
        default "";
        include {directory}/sessions.map;
    }}
    map $http_cookie $other_cookies {{
        default $http_cookie;
        "~^(?<front>.*?)(?:^|; )session=[^;]*(?:; )?(?<back>.*)$" $front$back;
    }}
    map $http_upgrade $connection_header {{
        default upgrade;
        "" "";
    }}
    upstream application {{
        server {upstream};
        keepalive 64;
        keepalive_requests 1000000000;
    }}
    server {{
        listen {address}:{port} reuseport;
        location ~ "^(?<prefix>/service/(?<task>[0-9a-f]{{32}}))(?<rest>/.*)$" {{
            if ($backend = "") {{ return 404; }}
            if ($user = "") {{ return 401; }}
            proxy_pass http://$backend$rest$is_args$args;
            proxy_http_version 1.1;
            proxy_set_header Connection $connection_header;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Host $http_host;
            proxy_set_header Cookie $other_cookies;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Host $http_host;
            proxy_set_header X-Forwarded-Port $server_port;
            proxy_set_header X-Forwarded-Prefix $prefix;
            proxy_set_header X-Request-Id $request_id;
            proxy_read_timeout 1h;
            proxy_hide_header Strict-Transport-Security;
            proxy_hide_header Clear-Site-Data;
            proxy_hide_header Alt-Svc;
            add_header X-Request-Id $request_id;
            add_header Cache-Control private;
        }}
    }}
"""

# What nginx's map knows alice by.
SESSION = f"{0xA11CE:064x}"


class Nginx:
    """One nginx with one worker on one core."""

    frame = _FRAME

    def __init__(self, name, directory, core, body, port, address, **more):
        directory.mkdir(parents=True, exist_ok=True)
        file = directory / "nginx.conf"
        file.write_text(self.frame.format(directory=directory, body=body, address=address, port=port, **more))
        self.url = f"http://{address}:{port}"
        with on_core(core):
            # As root it would look for a user named nobody to read files that only root may read.
            argv = [NGINX, "-p", directory, "-c", file, "-e", "stderr", "-g", "user root;"]
            self.process = Process(name, argv, directory, env=clean_env())
        until(self._answers, what=f"{name} answers")

    def _answers(self):
        self.process.must_run()
        try:
            return httpx.get(f"{self.url}/", trust_env=False) is not None
        except httpx.TransportError:
            return False

    def pids(self):
        """The master and its worker."""
        children = open(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read()
        return [self.process.pid, *map(int, children.split())]

    def stop(self):
        """Ends it."""
        self.process.stop()


class Application(Nginx):
    """What is behind the proxies: files of one KiB and of one MiB."""

    def __init__(self, directory):
        files = directory / "files"
        files.mkdir(parents=True)
        (files / "index.html").write_text("here")
        (files / "kib").write_bytes(b"x" * 1024)
        (files / "mib").write_bytes(b"x" * 1024 * 1024)
        self.port = free_port()
        body = _APPLICATION.format(directory=directory, address=WORKER, port=self.port)
        super().__init__("application", directory, OTHER_CORE, body, self.port, WORKER)


class Peer(Nginx):
    """nginx as the gateway to the same tasks, with the same number of sessions as users would have."""

    def __init__(self, directory, upstream, task, others, log="off"):
        directory.mkdir(parents=True, exist_ok=True)
        lines = [f"{task} application;", *(f"{other} {address};" for other, address in others)]
        (directory / "tasks.map").write_text("\n".join(lines))
        sessions = [f"{number:064x} user{number};" for number in range(1, 1000)]
        (directory / "sessions.map").write_text("\n".join([f"{SESSION} alice;", *sessions]))
        port = free_port()
        body = _GATEWAY.format(directory=directory, upstream=upstream, address=GATEWAY, port=port, log=log)
        super().__init__("nginx", directory, PROXY_CORE, body, port, GATEWAY)
