"""Every service as a process of its own, on PostgreSQL and RabbitMQ: the same cloud, whichever of them is killed."""

import json
import re
import subprocess
import tempfile
import time
import urllib.request

import pytest

from cloud import NEPHOS, run, wait_for
from conftest import furnish
from processes import PARTS, PREFIXES, Processes, answers


@pytest.fixture(scope="module")
def many():
    folder = tempfile.mkdtemp(prefix="nephos-e2e-", dir="/tmp")
    cloud = Processes(folder, 9000)
    try:
        cloud.up()
        furnish(cloud)
        yield cloud
    finally:
        cloud.clean()


def create(cloud, name, count):
    demo = cloud.sdk()
    demo.compute.create_server(
        name=name,
        image_id=demo.image.find_image("image").id,
        flavor_id=demo.compute.find_flavor("tiny").id,
        networks=[{"uuid": demo.network.find_network("net").id}],
        min_count=count,
    )


def statuses(cloud):
    """What the servers are; None while the API is away."""
    token = cloud.token()
    status, _, answer = cloud.get("/compute/v2.1/servers/detail", token)
    return [server["status"] for server in answer["servers"]] if status == 200 else None


def all_active(cloud, count, limit):
    def check():
        try:
            return statuses(cloud) == ["ACTIVE"] * count
        except Exception:  # the identity service may be away just now
            return False

    wait_for(f"{count} servers are active", check, limit)


def remove_all(cloud):
    demo = cloud.sdk()
    for server in demo.compute.servers():
        demo.compute.delete_server(server.id)
    wait_for("all are gone", lambda: not list(cloud.sdk().compute.servers()), 120)


def test_a_server_becomes_active_and_every_process_has_its_part(many):
    create(many, "first", 1)
    all_active(many, 1, 60)
    server = next(many.sdk().compute.servers())
    assert server.addresses["net"][0]["addr"].startswith("10.0.")
    # What a proxy says of the client's URL is believed from where the configuration says.
    _, _, versions = many.get("/compute/")
    link = versions["versions"][0]["links"][0]["href"]
    assert link.startswith("http://127.0.0.1:9000/compute/"), link
    # One request id follows the work through the services.
    request = None
    for line in many.log_of("compute-1").splitlines():
        if "CreateServer" in line:
            request = line.split("request_id=")[1].split("}")[0].split()[0].strip('"')
    assert request, "the creation is in no log"
    for name in ("image", "placement", "network-api"):
        assert request in many.log_of(name), (name, request)
    # And it is one timeline, with what the process told that does not listen.
    told = lambda: many.nephos("trace", request).stdout
    wait_for("the host is in it", lambda: "done on the host: kind=server" in told(), 30)
    for place in (" compute ", " image ", " placement ", " network ", " compute on sim-", " network on sim-"):
        assert place in told(), (place, told())
    assert many.fsck() == []
    remove_all(many)


def test_each_process_is_killed_in_the_middle_of_a_burst(many):
    took = {}
    for name in PARTS:
        create(many, f"burst-{name}", 12)
        many.again(name)
        began = time.monotonic()
        all_active(many, 12, 120)
        took[name] = round(time.monotonic() - began, 1)
        remove_all(many)
    print("all active so many seconds after the process was back:", took)
    assert many.fsck() == []


def test_the_broker_is_killed_in_the_middle_of_a_burst(many):
    create(many, "burst-broker", 12)
    many.broker.kill()
    all_active(many, 12, 120)
    many.broker.start()
    create(many, "after-broker", 1)
    all_active(many, 13, 60)
    remove_all(many)
    assert many.fsck() == []


def test_an_ended_token_ends_in_every_process_and_a_rotated_key_is_known_everywhere(many):
    token = many.token("nephos-admin")
    assert many.get("/compute/v2.1/servers", token)[0] == 200
    revoke = urllib.request.Request(
        f"{many.url}/identity/v3/auth/tokens", method="DELETE", headers={"X-Auth-Token": token, "X-Subject-Token": token}
    )
    urllib.request.urlopen(revoke, timeout=10)
    for path in ("/compute/v2.1/servers", "/network/v2.0/networks", "/image/v2/images", "/placement/resource_providers"):
        wait_for(f"it ends at {path}", lambda: many.get(path, token)[0] == 401, 3, 0.05)
    # A key that was just staged signs nothing yet.
    rotated = lambda: many.nephos("keys", "rotate", check=False).returncode == 0
    wait_for("another key signs", rotated, 90, 2)
    fresh = many.token("nephos-admin")
    for path in ("/compute/v2.1/servers", "/network/v2.0/networks", "/image/v2/images", "/placement/resource_providers"):
        assert many.get(path, fresh)[0] == 200, path


def test_while_identity_is_away_tokens_are_checked_and_healthz_says_how_long(many):
    token = many.token()
    many.kill("identity")
    try:
        assert many.get("/compute/v2.1/servers", token)[0] == 200
        # A process that starts meanwhile believes what it believed before.
        many.again("placement")
        admin = many.get("/placement/", token)
        assert admin[0] == 200
        assert "identity has not been heard since the start" in many.health(9102)
    finally:
        many.start("identity")
        many.wait("identity")
    wait_for("it is heard again", lambda: many.health(9102) == "ok\n", 10)


def test_status_says_of_every_copy_whether_it_answers(many):
    copies = json.loads(many.nephos("status", "--json").stdout)["copies"]
    assert len(copies) == sum(map(len, PREFIXES.values())) and all(copy["answers"] for copy in copies), copies
    many.kill("compute-2")
    try:
        done = many.nephos("status", check=False)
        assert done.returncode == 1 and "9106" in done.stdout and "does not answer" in done.stdout, done
        assert "nephos doctor" in done.stdout, done
        # A trace names it, and shows what the others know.
        request = re.findall(r"req-[0-9a-f-]{36}", many.log_of("compute-1"))[-1]
        done = many.nephos("trace", request)
        assert "127.0.0.1:9106" in done.stderr and "nephos status" in done.stderr, done.stderr
        assert " compute " in done.stdout, done.stdout
    finally:
        many.start("compute-2")
        many.wait("compute-2")


def test_a_machine_of_all_services_without_peers_is_asked_where_it_listens(many, tmp_path):
    file = tmp_path / "nephos.toml"
    own = f'[nephos]\nstate_dir = "{tmp_path}/state"\nhosts_url = "https://127.0.0.1:9999"\n'
    file.write_text(own + 'internal_listen = "127.0.0.1:9102"\n')
    there = run(NEPHOS, "--config", file, "status", check=False)
    assert there.returncode == 0 and "127.0.0.1:9102" in there.stdout, there
    # Its hosts are other machines, so nothing of what guests need is missing here.
    assert "libvirt" not in run(NEPHOS, "--config", file, "doctor", check=False).stdout
    file.write_text(own + 'internal_listen = "127.0.0.1:9998"\n')
    nobody = run(NEPHOS, "--config", file, "status", check=False)
    assert nobody.returncode == 3 and "not running" in nobody.stdout, nobody


def test_sqlite_refuses_a_second_process_and_says_what_to_do(tmp_path):
    file = tmp_path / "nephos.toml"
    file.write_text("[nephos]\nstate_dir = 'state'\nlisten = '127.0.0.1:9400'\n")
    nephos = (NEPHOS, "--config", file)
    refused = run(*nephos, "run", "compute", check=False)
    assert refused.returncode == 1 and "nephos bootstrap" in refused.stderr, refused.stderr
    run(*nephos, "bootstrap")
    first = subprocess.Popen([*map(str, nephos), "run", "identity", "placement"], stderr=subprocess.DEVNULL)
    try:
        wait_for("it listens", lambda: answers(9400), 20)
        second = run(*nephos, "run", "placement", "--listen", "127.0.0.1:9401", check=False)
        assert second.returncode == 1, second.stderr
        assert str(first.pid) in second.stderr and "postgres://" in second.stderr, second.stderr
        # Looking changes nothing and needs no lock.
        assert run(*nephos, "fsck").returncode == 0
    finally:
        first.terminate()
        first.wait(15)


def test_doctor_says_whether_the_broker_lets_this_cloud_in(many, tmp_path):
    doctor = lambda file: run(NEPHOS, "--config", file, "doctor", check=False).stdout
    assert f"the broker lets us in at 127.0.0.1:{many.broker.port}" in doctor(many.file)
    text = many.file.read_text()
    assert "guest:guest@" in text
    file = many.file.with_name("other.toml")
    file.write_text(text.replace("guest:guest@", "guest:mistaken@"))
    said = doctor(file)
    assert "the broker does not let us in" in said and "ACCESS_REFUSED" in said and "mistaken" not in said, said
    file.write_text(text.replace("%2f", "nowhere"))
    said = doctor(file)
    assert "the broker does not let us in" in said and "nowhere" in said, said
