"""Figures of a real and of a simulated cloud, each beside its aim."""

import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.parse
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))

from cloud import IMAGE, NEPHOS, Cloud, wait_for  # noqa: E402
from figures import load, rss_mib, show  # noqa: E402
from moves import moves  # noqa: E402
from scale import scale  # noqa: E402

PROVIDERS, BURST, LOGINS = 1000, 2000, 200


# Seconds after a start until nothing that it needed is held any more: hashing a password takes 19 MiB for a moment.
QUIET = 15


def start(cloud):
    """Seconds from the command to an answer of the identity service."""
    began = time.monotonic()
    process = subprocess.Popen(
        [NEPHOS, "--config", cloud.file, "up", "--simulate", str(cloud.simulate)],
        stdout=subprocess.DEVNULL, stderr=open(cloud.state / "nephos.log", "a"),
    )
    def answers():
        try:
            return all(cloud.get(path)[0] < 400 for path in ("/identity/v3", "/placement/", "/image/versions", "/network/v2.0", "/compute/v2.1"))
        except OSError:
            return False
    wait_for("it answers", answers, 30, 0.005)
    return process, time.monotonic() - began


def furnish(cloud):
    folder = cloud.folder / "image"
    folder.write_bytes(b"x" * 4096)
    admin, demo = cloud.sdk("nephos-admin"), cloud.sdk()
    image = admin.create_image("image", filename=str(folder), disk_format="raw", container_format="bare", visibility="public", wait=True)
    flavor = admin.compute.create_flavor(name="tiny", ram=64, vcpus=1, disk=1)
    network = demo.network.create_network(name="net")
    demo.network.create_subnet(network_id=network.id, ip_version=4, cidr="10.0.0.0/16")
    admin.set_compute_quotas("demo", instances=100_000, cores=100_000, ram=100_000_000)
    admin.set_network_quotas("demo", port=100_000)
    return {"imageRef": image.id, "flavorRef": flavor.id, "networks": [{"uuid": network.id}]}


def boot(cloud, server):
    """Seconds from POST to ACTIVE of one server."""
    token = cloud.token()
    began = time.monotonic()
    status, _, made = cloud.get("/compute/v2.1/servers", token, "POST", {"server": server})
    assert status == 202, made
    path = f"/compute/v2.1/servers/{made['server']['id']}"

    def active():
        shown = cloud.get(path, token)[2]["server"]
        assert shown["status"] != "ERROR", shown["fault"]
        return shown["status"] == "ACTIVE"

    wait_for("it is active", active, 60, 0.002)
    return time.monotonic() - began


def burst(cloud, server, count):
    """Servers per second, from the first POST until the last is ACTIVE; a request makes up to 1 000."""
    token = cloud.token()
    began = time.monotonic()
    for _ in range(count // 1000):
        many = dict(server, name="b", min_count=1000, max_count=1000)
        status, _, made = cloud.get("/compute/v2.1/servers", token, "POST", {"server": many})
        assert status == 202, made

    def all_active():
        return not cloud.get("/compute/v2.1/servers?status=BUILD&limit=1", token)[2]["servers"]

    wait_for("all are active", all_active, 300, 0.05)
    return count / (time.monotonic() - began)


def stack_of(cloud, count):
    """Seconds from the POST of a stack of this many simulated servers until all of it is complete."""
    token, project = cloud.token(), cloud.sdk().current_project_id
    server = {"type": "OS::Nova::Server", "properties": {
        "image": "image", "flavor": "tiny", "networks": [{"network": "net"}]}}
    template = {"heat_template_version": "2018-08-31", "resources": {f"server{at}": server for at in range(count)}}
    began = time.monotonic()
    path = f"/orchestration/v1/{project}/stacks"
    status, _, made = cloud.get(path, token, "POST", {"stack_name": "bench", "template": template})
    assert status == 201, made
    path = f"{path}/bench/{made['stack']['id']}"

    def complete():
        shown = cloud.get(f"{path}?resolve_outputs=false", token)[2]["stack"]
        assert not shown["stack_status"].endswith("FAILED"), shown
        return shown["stack_status"] == "CREATE_COMPLETE"

    wait_for("the stack is complete", complete, 120, 0.05)
    took = time.monotonic() - began
    cloud.get(path, token, "DELETE")

    def gone():
        status, _, shown = cloud.get(path, token)
        return status == 404 or shown["stack"]["stack_status"] == "DELETE_COMPLETE"

    wait_for("the stack is gone", gone, 60, 0.1)
    return took


def simulated():
    cloud = Cloud(tempfile.mkdtemp(prefix="nephos-bench-"), 8774, simulate=50)
    try:
        cloud.up()
        cloud.down()
        process, took = start(cloud)
        show("start on existing data until all APIs answer", took, "s", "<= 1")
        time.sleep(QUIET)
        show("resident memory, idle, all services and 50 simulated hosts", rss_mib(process.pid), "MiB", "<= 150")
        server = dict(furnish(cloud), name="one")
        boot(cloud, server)  # what is asked for the first time (tokens, rights) is not counted
        first = sorted(boot(cloud, server) for _ in range(cloud.simulate))
        singles = sorted(boot(cloud, server) for _ in range(20))
        show("simulated POST to ACTIVE, median of 20", singles[10] * 1000, "ms", "<= 50")
        show("the same while most hosts still fetch the image", first[cloud.simulate // 2] * 1000, "ms", "<= 50")
        show("a stack of 200 simulated servers, POST to complete", stack_of(cloud, 200), "s", "<= 5")
        show(f"simulated servers to ACTIVE, burst of {BURST}", burst(cloud, server, BURST), "/s", ">= 200")
        token = cloud.token()
        url = f"{cloud.url}/compute/v2.1/servers/detail?limit=100"
        page = load("get", url, "--token", token, "--count", "300")
        show(f"servers/detail, a page of 100 of {BURST + 71}: p50", page["p50_ms"], "ms", "-")
        show(f"servers/detail, a page of 100 of {BURST + 71}: p99", page["p99_ms"], "ms", "<= 20")
        admin = cloud.token("nephos-admin")
        providers(cloud, admin)
        url = f"{cloud.url}/placement/allocation_candidates?resources=VCPU:1,MEMORY_MB:64,DISK_GB:1&limit=1000"
        page = load("get", url, "--token", admin, "--count", "100", "--header", "openstack-api-version: placement 1.39")
        show(f"allocation candidates over {PROVIDERS} providers: p50", page["p50_ms"], "ms", "<= 30")
        show("resident memory after all this", rss_mib(process.pid), "MiB", "-")
        show("log-ins with a password not seen before, one after the other", logins(cloud), "/s", "-")
        show(f"resident memory after {LOGINS} of them", rss_mib(process.pid), "MiB", "-")
        process.terminate()
        process.wait()
    finally:
        cloud.clean()


def logins(cloud):
    """Log-ins per second whose password has to be hashed: wrong ones always are."""
    began = time.monotonic()
    for number in range(LOGINS):
        user = {"name": "demo", "domain": {"id": "default"}, "password": f"wrong {number}"}
        body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}}}
        status, _, answer = cloud.get("/identity/v3/auth/tokens", None, "POST", body)
        assert status == 401, answer
    return LOGINS / (time.monotonic() - began)


def providers(cloud, token):
    import urllib.request

    def send(method, path, body):
        request = urllib.request.Request(
            cloud.url + "/placement" + path, data=json.dumps(body).encode(), method=method,
            headers={"X-Auth-Token": token, "OpenStack-API-Version": "placement 1.39", "Content-Type": "application/json"},
        )
        return urllib.request.urlopen(request).read()

    inventory = {"total": 1000, "reserved": 0, "min_unit": 1, "max_unit": 1000, "step_size": 1, "allocation_ratio": 1.0}
    for number in range(PROVIDERS - cloud.simulate):
        made = json.loads(send("POST", "/resource_providers", {"name": f"bench-{number}"}))
        send("PUT", f"/resource_providers/{made['uuid']}/inventories", {
            "resource_provider_generation": made["generation"],
            "inventories": {name: inventory for name in ("VCPU", "MEMORY_MB", "DISK_GB")},
        })


def real():
    cloud = Cloud(tempfile.mkdtemp(prefix="nephos-bench-"), 8774)
    try:
        cloud.up()
        admin, demo = cloud.sdk("nephos-admin"), cloud.sdk()
        wait_for("the host has joined", lambda: list(admin.compute.hypervisors()), 30)
        time.sleep(QUIET)
        show("resident memory, idle, all services and this machine as host", rss_mib(cloud.pid()), "MiB", "<= 150")
        image = admin.create_image("guest", filename=str(IMAGE), disk_format="qcow2", container_format="bare", visibility="public", wait=True)
        flavor = admin.compute.create_flavor(name="nano", ram=128, vcpus=1, disk=1)
        network = demo.network.create_network(name="net")
        demo.network.create_subnet(network_id=network.id, ip_version=4, cidr="10.0.0.0/24")
        server = {"name": "real", "imageRef": image.id, "flavorRef": flavor.id, "networks": [{"uuid": network.id}]}
        boot(cloud, server)
        times = []
        for _ in range(3):
            for known in list(demo.compute.servers()):
                demo.compute.delete_server(known.id)
            wait_for("the last is gone", lambda: not list(demo.compute.servers()), 60)
            times.append(boot(cloud, server))
        show("real POST to ACTIVE, cached image, median of 3", sorted(times)[1], "s", "<= 1.5")
    finally:
        cloud.clean()


def plane():
    """A host's network agent with the kernel: many ports at once, then single changes."""
    took = load("plane", within=("unshare", "--net", "--mount"))
    show("1000 ports beside 10 000 elsewhere, on an empty host", took["cold_secs"], "s", "<= 10")
    show("one port more there, until it is up", took["port_secs"] * 1000, "ms", "<= 300")
    show("one elsewhere moves, until this host knows", took["moved_secs"] * 1000, "ms", "<= 300")


def disk(folder, size, count):
    """Seconds for the median of `count` files written as safely as objects are: flushed, renamed, the folder flushed."""
    data, times = b"x" * size, []
    for number in range(count):
        began = time.monotonic()
        with open(folder / "part", "wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        os.rename(folder / "part", folder / str(number))
        handle = os.open(folder, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)
        times.append(time.monotonic() - began)
    for number in range(count):
        (folder / str(number)).unlink()
    return sorted(times)[count // 2]


def objects():
    cloud = Cloud(tempfile.mkdtemp(prefix="nephos-bench-"), 8774, simulate=1)
    try:
        cloud.up()
        demo = cloud.sdk()
        where = urllib.parse.urlsplit(demo.object_store.get_endpoint())
        connection = http.client.HTTPConnection(where.netloc)
        token = {"X-Auth-Token": demo.auth_token}

        def ask(method, name, body=None):
            connection.request(method, f"{where.path}/c{name}", body, token)
            answer = connection.getresponse()
            read = answer.read()
            assert answer.status < 300, (answer.status, read[:200])
            return read

        ask("PUT", "")
        pid = cloud.pid()
        beside = cloud.state / "disk"
        beside.mkdir()
        for size, name, count in ((4096, "4 KiB", 200), (64 << 20, "64 MiB", 7)):
            data = os.urandom(size)
            bare = disk(beside, size, count)
            puts, gets = [], []
            for number in range(count):
                began = time.monotonic()
                ask("PUT", f"/{number % 20}", data)
                puts.append(time.monotonic() - began)
            for number in range(count):
                began = time.monotonic()
                assert ask("GET", f"/{number % min(count, 20)}") == data
                gets.append(time.monotonic() - began)
            unit, factor = ("ms", 1000) if size < 1 << 20 else ("MiB/s", None)
            figure = lambda secs: secs * factor if factor else size / (1 << 20) / secs
            put, get = figure(sorted(puts)[count // 2]), figure(sorted(gets)[count // 2])
            show(f"object PUT of {name}, median of {count}", put, unit, f"the disk's own: {figure(bare):.1f}")
            show(f"object GET of {name}, median of {count}", get, unit, "-")
        show("resident memory after objects of 64 MiB", rss_mib(pid), "MiB", "-")
    finally:
        cloud.clean()


def volumes():
    """Made, and in use: by guests of a simulated host, which need no time of their own."""
    cloud = Cloud(tempfile.mkdtemp(prefix="nephos-bench-"), 8774, simulate=1)
    try:
        cloud.up()
        server = furnish(cloud)
        demo = cloud.sdk()
        block = demo.block_storage
        cloud.sdk("nephos-admin").set_volume_quotas("demo", volumes=100)
        boot(cloud, {"name": "host", **server})
        [host] = demo.compute.servers()

        def until(volume, status):
            while block.get_volume(volume).status != status:
                time.sleep(0.002)

        def timed(work, volume, status):
            began = time.monotonic()
            made = work()
            until(volume or made, status)
            return time.monotonic() - began, made

        made, plugged, unplugged = [], [], []
        for number in range(20):
            took, volume = timed(lambda: block.create_volume(size=1, name=f"v{number}"), None, "available")
            made.append(took)
            plug = lambda: demo.compute.create_volume_attachment(host, volume_id=volume.id)
            plugged.append(timed(plug, volume, "in-use")[0])
            unplug = lambda: demo.compute.delete_volume_attachment(host, volume.id)
            unplugged.append(timed(unplug, volume, "available")[0])
        show("POST of an empty volume to available, median of 20", sorted(made)[10] * 1000, "ms", "<= 200")
        show("attach to in-use, simulated guest, median of 20", sorted(plugged)[10] * 1000, "ms", "<= 500")
        show("detach to available, simulated guest, median of 20", sorted(unplugged)[10] * 1000, "ms", "-")
        back_up(cloud, block, volume)
    finally:
        cloud.clean()


def back_up(cloud, block, volume, mib=256):
    """A backup of so many MiB that are no zeroes, and back into another volume."""
    [file] = cloud.state.glob(f"**/volume-{volume.id}")
    with open(file, "r+b") as out:
        for _ in range(mib):
            out.write(os.urandom(1 << 20))
        os.fsync(out.fileno())

    def available(get, thing):
        shown = get(thing)
        assert "error" not in shown.status, shown
        return shown.status == "available"

    began = time.monotonic()
    backup = block.create_backup(volume_id=volume.id)
    wait_for("the backup is there", lambda: available(block.get_backup, backup), 120, 0.01)
    show(f"backup of {mib} MiB", mib / (time.monotonic() - began), "MiB/s", "-")
    began = time.monotonic()
    into = block.create_volume(size=1)
    wait_for("the volume is there", lambda: available(block.get_volume, into), 60, 0.01)
    block.restore_backup(backup, volume=into.id)
    wait_for("it is back", lambda: available(block.get_volume, into), 120, 0.01)
    show("restore of the same", mib / (time.monotonic() - began), "MiB/s", "-")


def main():
    tokens = load("tokens")
    show("token checks per core, known tokens", tokens["known_per_sec"], "/s", ">= 20000")
    show("token checks per core, tokens never seen before", tokens["fresh_per_sec"], "/s", "-")
    simulated()
    objects()
    volumes()
    real()
    plane()
    moves()
    scale()


main()
