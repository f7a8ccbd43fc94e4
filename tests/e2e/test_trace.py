"""What became of a request, and what an operator should hear of."""

import json
import re
import subprocess

import pytest

from cloud import NEPHOS, wait_for

POST = r"POST call to compute for \S+/servers used request id (req-[0-9a-f-]+)"


def create(cloud, name, *more):
    """By the ordinary client; the id of the request, as it shows it."""
    done = cloud.openstack("--debug", "server", "create", "--image", "image", "--network", "net", *more, name, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return re.search(POST, done.stderr).group(1)


@pytest.fixture
def followed(simulated, tmp_path):
    """`nephos events -f --json`, and what it has said so far."""
    said = tmp_path / "events"
    with open(said, "wb") as out:
        child = subprocess.Popen([NEPHOS, "--config", simulated.file, "events", "-f", "--json"], stdout=out, stderr=subprocess.STDOUT)
    try:
        yield lambda: [json.loads(line) for line in said.read_text().splitlines(keepends=True) if line.endswith("\n")]
        assert child.poll() is None, said.read_text()[-1000:]
    finally:
        child.terminate()
        child.wait(10)


def test_a_create_is_one_timeline_across_services_and_its_host(simulated):
    request = create(simulated, "traced", "--flavor", "tiny", "--wait")
    server = simulated.server("traced")["id"]
    told = lambda: simulated.nephos("trace", request).stdout
    wait_for("the host has said what it did", lambda: f"kind=server id={server}" in told(), 30)
    lines = told().splitlines()
    at = lambda part: next(number for number, line in enumerate(lines) if re.search(part, line))
    order = [
        at(r"^ +\+0\.000 s  compute +POST /v2.1/servers answered 202"),
        at(r" compute +operation server\.\w+ of " + server + r" begins"),
        at(r" placement +\w+ /allocation"),
        at(r" network +POST /v2.0/ports answered"),
        at(rf" compute on sim-\d +done on the host: kind=server id={server} state=running"),
    ]
    assert order == sorted(order), "\n".join(lines)
    assert at(rf"operation server\.\w+ of {server} done"), "\n".join(lines)
    assert at(r" network on sim-\d +done on the host: kind=port"), "\n".join(lines)
    document = json.loads(simulated.nephos("trace", "--json", request).stdout)
    offsets = [line["after_micros"] for line in document["lines"]]
    assert document["silent"] == [] and offsets == sorted(offsets) and offsets[0] == 0 and len(offsets) == len(lines)
    # What is durable is known after a start, too.
    simulated.kill()
    simulated.up()
    assert re.search(rf"operation server\.\w+ of {server} done", told()), told()


def test_an_unknown_request_and_what_is_none_say_so(simulated):
    done = simulated.nephos("trace", "req-00000000-0000-0000-0000-000000000000", check=False)
    assert done.returncode == 1 and "older" in done.stderr and "another cloud" in done.stderr.replace("\n", " "), done.stderr
    done = simulated.nephos("trace", "../x", check=False)
    assert done.returncode == 1 and "X-Openstack-Request-Id" in done.stderr


def test_events_show_a_failure_as_it_comes_and_go_on_through_a_restart(simulated, followed):
    admin = simulated.sdk("nephos-admin")
    admin.compute.create_flavor(name="huge", ram=64, vcpus=4096, disk=1)
    request = create(simulated, "huge", "--flavor", "huge")
    failures = lambda: [line for line in followed() if line["request_id"] == request and line["level"] == "warning"]
    [failure] = wait_for("the failure is told", failures, 30)
    assert failure["event"] == "operation" and failure["service"] == "compute" and "nephos trace" in failure["message"]
    assert "No valid host" in failure["fields"]["why"] or "vCPU" in str(failure["fields"]), failure
    assert not any(line["message"] == "answered" for line in followed()), "nobody asked for those"
    simulated.kill()
    away = lambda: [line for line in followed() if line["event"] == "process" and line["level"] == "warning"]
    [silent] = wait_for("it is told that nobody answers", away, 30)
    assert "nephos status" in silent["message"], silent
    simulated.up()
    wait_for("and that somebody does", lambda: any("answers again" in line["message"] for line in followed()), 30)
    simulated.sdk().compute.delete_server(simulated.server("huge")["id"])
    ended = lambda: [line for line in followed() if line["event"] == "operation" and line["fields"].get("kind") == "server.delete"]
    wait_for("what comes then is told", ended, 30)
    table = simulated.nephos("events").stdout
    assert "server.delete" in table and " answered " not in table, table
    assert " answered " in simulated.nephos("events", "--all").stdout


def test_what_processes_remember_is_for_operators(simulated):
    path = "/compute/journal/v1/entries"
    assert simulated.get(path)[0] == 401
    assert simulated.get(path, simulated.token())[0] == 403
    status, _, page = simulated.get(path, simulated.token("nephos-admin"))
    assert status == 200 and page["process"]["id"]


def test_no_token_password_or_user_data_is_remembered(simulated, tmp_path):
    said = "of-the-guest-alone"
    (tmp_path / "user-data").write_text(f"#!/bin/sh\necho {said}\n")
    request = create(simulated, "discreet", "--flavor", "tiny", "--user-data", tmp_path / "user-data", "--property", f"key={said}", "--wait")
    simulated.openstack("server", "list", "--name", said)
    config = simulated.sdk().config
    told = simulated.nephos("trace", "--json", request).stdout + simulated.nephos("events", "--all", "--json").stdout
    assert request in told and simulated.server("discreet")["id"] in told
    for secret in (said, simulated.token(), config.auth["password"]):
        assert secret not in told, secret
