"""The page about HTTPS: a certificate at a real ingress controller, in front of the gateway and of its console."""

import json

import httpx
import pytest
import yaml
from authority import trust, visit
from engineer import Engineer
from kubernetes_world import ROOT
from world.pages import commands

PAGE = "docs/how-to/https.md"
CERTIFICATE, UPGRADE = commands(PAGE)
GUIDE = ROOT / "charts/portico/ci/guide-values.yaml"


@pytest.fixture
def engineer(cluster, registry, tmp_path):
    """An engineer with a certificate."""
    with Engineer(cluster, "guide-https", tmp_path) as engineer:
        engineer.log_in()
        engineer.certificate()
        yield engineer


def test_a_certificate_at_the_ingress_serves_tasks_and_console(engineer):
    engineer.type(CERTIFICATE)
    engineer.keep_key()
    engineer.write_values(PAGE)
    engineer.type(UPGRADE)
    task = engineer.serves("https://gateway.example.com")
    engineer.shows_console("https://console.example.com")
    # Nobody answers for the console's paths on the host of the applications.
    assert visit("https://gateway.example.com/login") in (401, 404)

    headers = {"accept": "text/html", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    with httpx.Client(headers=headers, verify=trust(), trust_env=False, follow_redirects=True) as browser:
        shown = browser.get(f"https://gateway.example.com/service/{task}/")
    assert shown.status_code == 200 and shown.url.host == "console.example.com", shown.url


def test_the_enterprise_guides_values_are_served_through_the_ingress(engineer):
    """Its first values, without a certificate and without a class, with the registry that a guide for Portico has to name."""
    values = yaml.safe_load(GUIDE.read_text())
    assert set(values) == {"imageCredentials", "clearml", "ingress", "tcpSession"}
    (engineer.directory / "values.yaml").write_text(json.dumps(engineer.here(values)))
    engineer.type(UPGRADE)
    engineer.serves("http://gateway.example.com")
