"""docker compose on one host: the enterprise gateway's runtime.env starts Portico as compose.yaml would."""

import re

import httpx
import yaml
from world.namespace import GATEWAY, NETWORK, free_port
from world.process import Process, clean_env
from world.programs import PORTICO, ROOT
from world.wait import until

DEPLOY = ROOT / "deploy"


def runtime_env(**filled):
    """runtime.env as compose reads it, with some lines filled in."""
    lines = (DEPLOY / "runtime.env").read_text().splitlines()
    variables = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    assert set(filled) <= set(variables), "runtime.env no longer has these names"
    return variables | filled


def service():
    """The only service of compose.yaml."""
    (only,) = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"].values()
    return only


def test_the_runtime_env_of_the_enterprise_gateway_serves(place):
    emulator = place.emulator()
    place.directory.mkdir(exist_ok=True)
    access_key, secret_key = emulator.key("admin")
    port, operations, stream = free_port(), free_port(), free_port()
    env = runtime_env(
        ROUTER_URL=f"http://{GATEWAY}:{port}",
        ROUTER__WEBSERVER__SERVER_PORT=str(port),
        CLEARML_API_HOST=emulator.url,
        CLEARML_API_ACCESS_KEY=access_key,
        CLEARML_API_SECRET_KEY=secret_key,
        STREAM_ROUTER_ADDRESS=GATEWAY,
        STREAM_PORT_START=str(stream),
        STREAM_PORT_END=str(stream),
        PORTICO__DISCOVERY__NETWORKS=NETWORK,
    )
    env["PORTICO__OPERATIONS__LISTEN"] = f"127.0.0.1:{operations}"
    # The volume of compose.yaml lies where the state is by default; here it may lie elsewhere.
    env["PORTICO__STATE__PATH"] = str(place.directory / "state.db")
    gateway = place.keep(Process("compose", [PORTICO, "serve"], place.directory, env=clean_env(**env)))

    def is_ready():
        gateway.must_run()
        try:
            return httpx.get(f"http://127.0.0.1:{operations}/readyz", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    until(is_ready, what="the gateway is ready")
    assert httpx.get(f"http://{GATEWAY}:{port}/_gateway/health", trust_env=False).status_code == 200


def test_the_container_has_no_more_rights_than_it_needs():
    container = service()
    assert container["read_only"] is True
    assert container["cap_drop"] == ["ALL"]
    assert container["security_opt"] == ["no-new-privileges:true"]
    # Neither the docker socket nor a directory of the host.
    assert container["volumes"] == ["state:/var/lib/portico"]
    assert not {"privileged", "pid", "ipc", "devices", "cap_add"} & set(container)


def test_each_variable_that_compose_asks_for_is_in_the_runtime_env():
    asked = re.findall(r"\$\{([A-Z_]+):\?", (DEPLOY / "compose.yaml").read_text())
    assert asked and set(asked) <= set(runtime_env())
