"""The configuration that the chart writes is understood by the real binary, key by key."""

import subprocess

import pytest
import yaml
from world import helm
from world.process import clean_env
from world.programs import PORTICO

CASES = sorted(path.name.removesuffix("-values.yaml") for path in (helm.CHART / "ci").glob("*-values.yaml"))


def files(directory):
    """Where the pod has its files, and where they are here."""
    for name, text in {"access-key": "KEY", "secret-key": "not-a-secret"}.items():
        (directory / name).write_text(text)
    (directory / "ca.crt").write_text(AUTHORITY)
    return {
        "/etc/portico/clearml/access-key": directory / "access-key",
        "/etc/portico/clearml/secret-key": directory / "secret-key",
        "/etc/portico/certificates/ca.crt": directory / "ca.crt",
        "/run/portico/": f"{directory}/",
    }


# Any certificate will do; nobody is asked.
AUTHORITY = subprocess.run(
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout /dev/null -subj /CN=company -days 2",
    shell=True,
    capture_output=True,
    text=True,
    check=True,
).stdout


@pytest.fixture(scope="module")
def chart(tmp_path_factory):
    """Our chart."""
    return helm.Chart(tmp_path_factory.mktemp("chart"))


@pytest.mark.parametrize("name", CASES)
def test_the_binary_understands_what_the_chart_writes(chart, name, tmp_path):
    rendering = chart.render(file=helm.CHART / "ci" / f"{name}-values.yaml")
    assert rendering.worked, rendering.error
    text = yaml.safe_dump(rendering.config())
    for there, here in files(tmp_path).items():
        text = text.replace(there, str(here))
    (tmp_path / "portico.yaml").write_text(text)
    (container,) = rendering.one("Deployment")["spec"]["template"]["spec"]["containers"]
    env = {one["name"]: one["value"] for one in container["env"] if "value" in one and one["name"] != "SSL_CERT_FILE"}
    done = subprocess.run(
        [PORTICO, "check-config", "--config", tmp_path / "portico.yaml"],
        env=clean_env(**env),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
