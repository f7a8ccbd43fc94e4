"""Figures of a cloud as a company runs it: a process per service, PostgreSQL, RabbitMQ, a thousand simulated hosts."""

import http.client
import json
import tempfile
import time

from cloud import run, wait_for
from figures import load, rss_mib, show
from processes import PARTS, Processes

HOSTS, SERVERS, BURST = 1000, 20_000, 2000
# What one request asks for at most.
MANY = 1000
RABBITMQCTL = "/usr/lib/rabbitmq/bin/rabbitmqctl"


class Scale(Processes):
    """With a broker that counts what is published."""

    def __init__(self, folder, port):
        super().__init__(folder, port, hosts=HOSTS)
        self.broker.configuration = "collect_statistics = fine\n"

    def published(self):
        """Messages that the broker has taken since it was started."""
        sum_of = "lists:sum([element(2, One) || One <- ets:tab2list(channel_exchange_metrics)])."
        return int(run(RABBITMQCTL, "-q", "eval", sum_of, env=self.broker.env()).stdout)

    def ask(self, service, path, token, method="GET", body=None):
        """One request to a service's own port: the proxy of the tests would be what is measured."""
        connection = http.client.HTTPConnection("127.0.0.1", PARTS[service][1], timeout=60)
        headers = {"X-Auth-Token": token, "Content-Type": "application/json"}
        connection.request(method, path, body and json.dumps(body), headers)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        assert answer.status < 400, (answer.status, text)
        return json.loads(text) if text else None

    def servers(self, token, query):
        return self.ask("compute-1", f"/compute/v2.1/servers{query}", token)["servers"]


def furnish(cloud):
    folder = cloud.folder / "image"
    folder.write_bytes(b"x" * 4096)
    admin, demo = cloud.sdk("nephos-admin"), cloud.sdk()
    wait_for("all hosts are there", lambda: len(list(admin.compute.hypervisors())) >= HOSTS, 300, 1)
    image = admin.create_image(
        "image", filename=str(folder), disk_format="raw", container_format="bare", visibility="public", wait=True
    )
    flavor = admin.compute.create_flavor(name="tiny", ram=64, vcpus=1, disk=1)
    network = demo.network.create_network(name="net")
    demo.network.create_subnet(network_id=network.id, ip_version=4, cidr="10.0.0.0/15")
    admin.set_compute_quotas("demo", instances=SERVERS * 2, cores=SERVERS * 2, ram=SERVERS * 200)
    admin.set_network_quotas("demo", port=SERVERS * 2)
    return {"imageRef": image.id, "flavorRef": flavor.id, "networks": [{"uuid": network.id}]}


def burst(cloud, token, server, count):
    """Servers per second, from the first POST until the last is ACTIVE."""
    began = time.monotonic()
    for _ in range(count // MANY):
        many = dict(server, name="s", min_count=MANY, max_count=MANY)
        cloud.ask("compute-1", "/compute/v2.1/servers", token, "POST", {"server": many})
    wait_for("all are active", lambda: not cloud.servers(token, "?status=BUILD&limit=1"), 300, 0.1)
    assert not cloud.servers(token, "?status=ERROR&limit=1")
    return count / (time.monotonic() - began)


def boot(cloud, token, server):
    """Seconds from POST to ACTIVE of one server."""
    began = time.monotonic()
    made = cloud.ask("compute-1", "/compute/v2.1/servers", token, "POST", {"server": dict(server, name="one")})
    path = f"/compute/v2.1/servers/{made['server']['id']}"
    wait_for("it is active", lambda: cloud.ask("compute-1", path, token)["server"]["status"] == "ACTIVE", 60, 0.01)
    return time.monotonic() - began


def singles(cloud, token):
    """One object of each kind, as a client asks for it."""
    [server] = cloud.servers(token, "?limit=1")
    port = cloud.ask("network-api", f"/network/v2.0/ports?device_id={server['id']}", token)["ports"][0]
    image = cloud.ask("image", "/image/v2/images?limit=1", token)["images"][0]
    flavor = cloud.ask("compute-1", "/compute/v2.1/flavors?limit=1", token)["flavors"][0]
    volume = cloud.ask("block", "/volume/v3/volumes", token, "POST", {"volume": {"size": 1}})["volume"]
    for what, service, path in [
        ("a server", "compute-1", f"/compute/v2.1/servers/{server['id']}"),
        ("a flavor", "compute-1", f"/compute/v2.1/flavors/{flavor['id']}"),
        ("a port", "network-api", f"/network/v2.0/ports/{port['id']}"),
        ("an image", "image", f"/image/v2/images/{image['id']}"),
        ("a volume", "block", f"/volume/v3/volumes/{volume['id']}"),
    ]:
        url = f"http://127.0.0.1:{PARTS[service][1]}{path}"
        page = load("get", url, "--token", token, "--count", "1000")
        show(f"GET {what} beside {SERVERS} servers: p50", page["p50_ms"], "ms", "-")
        show(f"GET {what} beside {SERVERS} servers: p99", page["p99_ms"], "ms", "<= 20")


def broker_killed(cloud, token, server):
    usual = sorted(boot(cloud, token, server) for _ in range(10))[5]
    show("POST to ACTIVE, median of 10", usual * 1000, "ms", "-")
    cloud.broker.kill()
    show("POST to ACTIVE right after the broker was killed", boot(cloud, token, server), "s", "<= 5")
    cloud.broker.start()
    began = time.monotonic()
    while boot(cloud, token, server) > usual * 2:
        assert time.monotonic() < began + 60, "creates stay slow"
    show("until creates are as quick as before, once it is back", time.monotonic() - began, "s", "<= 5")


def scale():
    cloud = Scale(tempfile.mkdtemp(prefix="nephos-scale-"), 8780)
    try:
        began = time.monotonic()
        cloud.up()
        server, token = furnish(cloud), cloud.token()
        show(f"start until {HOSTS} simulated hosts are there", time.monotonic() - began, "s", "-")
        boot(cloud, token, server)
        before, began = cloud.published(), time.monotonic()
        first = burst(cloud, token, server, BURST)
        show(f"simulated servers to ACTIVE, the first {BURST}", first, "/s", ">= 200")
        show("messages per create", (cloud.published() - before) / BURST, "", "<= 2")
        rates = [burst(cloud, token, server, BURST) for _ in range(SERVERS // BURST - 1)]
        show(f"simulated servers to ACTIVE, the last {BURST} of {SERVERS}", rates[-1], "/s", ">= 200")
        singles(cloud, token)
        broker_killed(cloud, token, server)
        for name, child in cloud.children.items():
            show(f"resident memory of {name}", rss_mib(child.pid), "MiB", "-")
    finally:
        cloud.clean()
