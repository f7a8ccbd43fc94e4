"""Figures of a cloud as a company runs it: a process per service, PostgreSQL, RabbitMQ, a thousand simulated hosts."""

import http.client
import json
import tempfile
import time

from cloud import run, wait_for
from figures import load, rss_mib, show
from processes import PARTS, Processes

HOSTS, SERVERS, BURST = 1000, 20_000, 2000
# Servers belong to so many projects, each with a network and a group of its own.
PROJECTS = 100
# What one request asks for.
MANY = 100
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


class Tenant:
    """A project with a network: its token, and a server of it as a request has it."""

    def __init__(self, cloud, admin, number, common):
        project = admin.identity.create_project(name=f"p{number}", domain_id="default")
        user, role = admin.identity.find_user("demo"), admin.identity.find_role("member")
        admin.identity.assign_project_role_to_user(project, user, role)
        share = SERVERS // PROJECTS * 2
        admin.set_compute_quotas(project.id, instances=share, cores=share, ram=share * 100)
        admin.set_network_quotas(project.id, port=share)
        sdk = cloud.sdk().connect_as_project(project.name)
        network = sdk.network.create_network(name="net")
        sdk.network.create_subnet(network_id=network.id, ip_version=4, cidr="10.0.0.0/22")
        self.token = sdk.auth_token
        self.server = dict(common, networks=[{"uuid": network.id}])


def furnish(cloud):
    data = cloud.folder / "image"
    data.write_bytes(b"x" * 4096)
    admin = cloud.sdk("nephos-admin")
    wait_for("all hosts are there", lambda: len(list(admin.compute.hypervisors())) >= HOSTS, 300, 1)
    image = admin.create_image(
        "image", filename=str(data), disk_format="raw", container_format="bare", visibility="public", wait=True
    )
    flavor = admin.compute.create_flavor(name="tiny", ram=64, vcpus=1, disk=1)
    common = {"imageRef": image.id, "flavorRef": flavor.id}
    return [Tenant(cloud, admin, number, common) for number in range(PROJECTS)]


def burst(cloud, tenants, count):
    """Servers per second, from the first POST until the last is ACTIVE."""
    began = time.monotonic()
    for tenant in tenants[: count // MANY]:
        many = dict(tenant.server, name="s", min_count=MANY, max_count=MANY)
        cloud.ask("compute-1", "/compute/v2.1/servers", tenant.token, "POST", {"server": many})
    admin = cloud.token("nephos-admin")
    left = lambda status: cloud.servers(admin, f"?all_tenants=1&status={status}&limit=1")
    wait_for("all are active", lambda: not left("BUILD"), 300, 0.1)
    assert not left("ERROR")
    return count / (time.monotonic() - began)


def boot(cloud, tenant):
    """Seconds from POST to ACTIVE of one server."""
    began = time.monotonic()
    body, token = {"server": dict(tenant.server, name="one")}, tenant.token
    made = cloud.ask("compute-1", "/compute/v2.1/servers", token, "POST", body)
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


def broker_killed(cloud, tenant):
    usual = sorted(boot(cloud, tenant) for _ in range(10))[5]
    show("POST to ACTIVE, median of 10", usual * 1000, "ms", "-")
    cloud.broker.kill()
    show("POST to ACTIVE right after the broker was killed", boot(cloud, tenant), "s", "<= 5")
    cloud.broker.start()
    began = time.monotonic()
    while boot(cloud, tenant) > usual * 2:
        assert time.monotonic() < began + 60, "creates stay slow"
    show("until creates are as quick as before, once it is back", time.monotonic() - began, "s", "<= 5")


def scale():
    cloud = Scale(tempfile.mkdtemp(prefix="nephos-scale-"), 8780)
    try:
        began = time.monotonic()
        cloud.up()
        tenants = furnish(cloud)
        show(f"start until {HOSTS} simulated hosts and {PROJECTS} projects are there", time.monotonic() - began, "s", "-")
        boot(cloud, tenants[0])
        rates = []
        for at in range(SERVERS // BURST):
            before = cloud.published()
            # Each time other projects, until all have had theirs.
            first = at * BURST // MANY % PROJECTS
            rates.append(burst(cloud, tenants[first:] + tenants[:first], BURST))
            if at == 0:
                show("messages per create", (cloud.published() - before) / BURST, "", "<= 2")
        show(f"simulated servers to ACTIVE, the first {BURST}", rates[0], "/s", ">= 200")
        show(f"simulated servers to ACTIVE, the last {BURST} of {SERVERS}", rates[-1], "/s", ">= 200")
        singles(cloud, tenants[0].token)
        broker_killed(cloud, tenants[0])
        for name, child in cloud.children.items():
            show(f"resident memory of {name}", rss_mib(child.pid), "MiB", "-")
    finally:
        cloud.clean()
