"""The command itself: twice, in the way of another, stopped, asked, and given nonsense."""

import re
import socket
import stat

import pytest

from cloud import NEPHOS, run, wait_for
from conftest import make


@pytest.fixture(scope="module")
def cloud():
    cloud = make(8776, simulate=1)
    try:
        yield cloud
    finally:
        cloud.clean()


def test_it_starts_once_and_says_so(cloud):
    first = cloud.up().stdout
    assert f"{cloud.url}/identity/v3" in first
    assert str(cloud.state / "clouds.yaml") in first
    again = cloud.up()
    assert again.returncode == 0
    assert "running already" in again.stdout
    assert f"process {cloud.pid()}" in cloud.nephos("status").stdout


def test_secrets_are_for_their_owner_only(cloud):
    for name in ("secrets.toml", "clouds.yaml"):
        assert stat.S_IMODE((cloud.state / name).stat().st_mode) == 0o600, name
    log = cloud.log()
    for secret in re.findall(r'"([0-9a-f]{32})"', (cloud.state / "secrets.toml").read_text()):
        assert secret not in log


def test_it_stops_and_starts_again_with_everything(cloud):
    cloud.admin("project", "create", "kept")
    password = (cloud.state / "secrets.toml").read_text()
    assert "stopped" in cloud.down().stdout
    assert "not running" in cloud.down().stdout
    assert cloud.nephos("status", check=False).returncode == 3
    cloud.up()
    assert "kept" in cloud.admin("project", "list", "-f", "value", "-c", "Name")
    assert (cloud.state / "secrets.toml").read_text() == password


def test_a_taken_port_is_named(cloud):
    cloud.down()
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", cloud.port))
        taken.listen()
        done = cloud.nephos("up", check=False)
    assert done.returncode == 1
    assert f"127.0.0.1:{cloud.port}" in done.stderr and "listen" in done.stderr
    cloud.up()


def test_a_wrong_configuration_names_the_key(cloud):
    bad = cloud.folder / "bad.toml"
    for text, part in (
        ("[nephos]\nlisen = 'x'\n", "lisen"),
        ("[computer]\n", "computer"),
        ("[compute]\nlibvirt_url = 'x'\n", "libvirt_url"),
        ("[nephos]\nworkers = 'many'\n", "workers"),
        ("nephos]\n", "bad.toml"),
    ):
        bad.write_text(text)
        done = run(NEPHOS, "--config", bad, "config", "check", check=False)
        assert done.returncode == 1 and part in done.stderr, (text, done.stderr)
    assert run(NEPHOS, "--config", cloud.file, "config", "check").returncode == 0


def test_one_request_id_goes_through_every_service(cloud):
    request_id = "req-11111111-2222-3333-4444-555555555555"
    import urllib.request

    headers = {"X-Auth-Token": cloud.token(), "X-OpenStack-Request-ID": request_id}
    request = urllib.request.Request(cloud.url + "/compute/v2.1/servers", headers=headers)
    with urllib.request.urlopen(request) as answer:
        assert answer.headers["x-openstack-request-id"] == request_id
    wait_for("the log has it", lambda: request_id in cloud.log(), 5)


def test_metrics_and_health_are_there(cloud):
    assert cloud.get("/healthz")[0] == 200
    status, _, text = cloud.get("/metrics")
    assert status == 200 and b"nephos_http_request_seconds" in text
    assert cloud.get("/nowhere")[0] == 404
