"""A load balancer on a real host: who answers, what a change and a kill do to it, and that nothing is left. Members and
clients live in network namespaces with ports of their own in the user's network; real haproxys, no guests."""

import os
import signal
import subprocess
import sys

import pytest

from cloud import run, wait_for

# Says its name to whoever asks, as a simple web server of a guest does.
SERVER = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(sys.argv[1])))
        self.end_headers()
        self.wfile.write(sys.argv[1].encode())
    def log_message(self, *words):
        pass
http.server.HTTPServer((sys.argv[2], 80), Handler).serve_forever()
"""


def space(port_id):
    return f"nephos-l-{port_id[:11]}"


class Place:
    """A port in the user's network with a namespace of its own on the host."""

    def __init__(self, admin, network, name):
        host = wait_for("a host reports", lambda: next((agent.host for agent in admin.network.agents()), None))
        self.port = admin.network.create_port(
            network_id=network.id, project_id=network.project_id, name=name, device_owner="Octavia", device_id=name,
            binding_host_id=host, port_security_enabled=False,
        )
        self.name, self.address = name, self.port.fixed_ips[0]["ip_address"]
        self.inside = ("ip", "netns", "exec", space(self.port.id))
        active = lambda: admin.network.get_port(self.port.id).status == "ACTIVE"
        wait_for(f"the port of {name} is up", active, 60)
        self.server = None

    def serve(self):
        self.server = subprocess.Popen([*self.inside, sys.executable, "-c", SERVER, self.name, self.address])

    def curl(self, address, limit=10):
        return run(*self.inside, "curl", "-sS", "-m", limit, f"http://{address}/", check=False).stdout


class Balanced:
    """Two members behind a VIP, and who asks."""

    def __init__(self, cloud):
        self.cloud, self.demo, admin = cloud, cloud.sdk(), cloud.sdk("nephos-admin")
        self.network = self.demo.network.create_network(name="balanced")
        self.subnet = self.demo.network.create_subnet(network_id=self.network.id, ip_version=4, cidr="10.30.0.0/24")
        self.client, *self.members = [Place(admin, self.network, name) for name in ("client", "one", "two")]
        for member in self.members:
            member.serve()
        lb = self.demo.load_balancer
        self.lb = self.done(lb.create_load_balancer(name="lb", vip_subnet_id=self.subnet.id))
        self.listener = lb.create_listener(name="web", load_balancer_id=self.lb.id, protocol="HTTP", protocol_port=80)
        self.done()
        self.pool = lb.create_pool(name="pool", listener_id=self.listener.id, protocol="HTTP", lb_algorithm="ROUND_ROBIN")
        self.done()
        for member in self.members:
            lb.create_member(self.pool, name=member.name, address=member.address, protocol_port=80, subnet_id=self.subnet.id)
            self.done()
        lb.create_health_monitor(
            pool_id=self.pool.id, type="HTTP", delay=1, timeout=1, max_retries=1, max_retries_down=1, url_path="/"
        )
        self.done()

    def done(self, lb=None):
        return self.demo.load_balancer.wait_for_load_balancer((lb or self.lb).id, interval=0.2, wait=60)

    def answers(self, count=4):
        return [self.client.curl(self.lb.vip_address) for _ in range(count)]

    def alternate(self):
        """Waits until both answer by turns."""
        wait_for("both members answer by turns", lambda: self.answers() in (["one", "two"] * 2, ["two", "one"] * 2), 30)

    def status(self, name):
        members = self.demo.load_balancer.members(self.pool)
        return next(member.operating_status for member in members if member.name == name)

    def becomes(self, name, status):
        wait_for(f"member {name} is {status}", lambda: self.status(name) == status, 30)


def haproxys(cloud):
    """The processes of load balancers, by number."""
    found = {}
    for entry in os.listdir("/proc"):
        try:
            words = open(f"/proc/{entry}/cmdline", "rb").read().split(b"\0") if entry.isdigit() else [b""]
            state = open(f"/proc/{entry}/stat").read().rpartition(")")[2].split()[0] if entry.isdigit() else "Z"
        except OSError:
            continue
        if words[0].endswith(b"haproxy") and state != "Z" and str(cloud.state).encode() in b" ".join(words):
            found[int(entry)] = words
    return found


@pytest.fixture(scope="module")
def balanced(real):
    balanced = Balanced(real)
    yield balanced
    for member in balanced.members:
        member.server.kill()
        member.server.wait()


def test_members_answer_by_turns_and_one_that_is_frozen_is_left_out(balanced):
    balanced.alternate()
    for member in balanced.members:
        balanced.becomes(member.name, "ONLINE")
    one, two = balanced.members
    one.server.send_signal(signal.SIGSTOP)
    try:
        balanced.becomes("one", "ERROR")
        assert balanced.answers() == ["two"] * 4
    finally:
        one.server.send_signal(signal.SIGCONT)
    balanced.becomes("one", "ONLINE")
    balanced.alternate()


def test_a_member_that_is_switched_off_is_not_asked_and_counters_go_on(balanced):
    lb = balanced.demo.load_balancer
    member = next(member for member in lb.members(balanced.pool) if member.name == "two")
    lb.update_member(member, balanced.pool, admin_state_up=False)
    balanced.done()
    assert balanced.answers() == ["one"] * 4
    lb.update_member(member, balanced.pool, admin_state_up=True)
    balanced.done()
    balanced.alternate()
    counted = lambda: lb.get_load_balancer_statistics(balanced.lb.id).total_connections
    wait_for("connections are counted", lambda: counted() >= 8, 30)


def test_it_answers_while_the_cloud_is_away_and_an_agent_that_starts_again_finds_it(balanced):
    cloud = balanced.cloud
    (before,) = haproxys(cloud)
    cloud.kill()
    assert sorted(balanced.answers(2)) == ["one", "two"]
    cloud.up()
    assert list(haproxys(cloud)) == [before]
    os.kill(before, signal.SIGKILL)
    wait_for("another haproxy runs", lambda: set(haproxys(cloud)) - {before}, 30)
    balanced.alternate()
    assert cloud.fsck() == []


def test_nothing_is_left_of_a_load_balancer_that_is_deleted_with_all_it_has(balanced):
    cloud, lb = balanced.cloud, balanced.demo.load_balancer
    port = balanced.lb.vip_port_id
    assert space(port) in run("ip", "netns", "list").stdout
    lb.delete_load_balancer(balanced.lb, cascade=True)
    wait_for("it is gone", lambda: lb.find_load_balancer(balanced.lb.id) is None, 60)
    wait_for("its haproxy is gone", lambda: not haproxys(cloud), 30)
    wait_for("its namespace is gone", lambda: space(port) not in run("ip", "netns", "list").stdout, 30)
    assert balanced.demo.network.find_port(port) is None
    folder = cloud.state / "host/lb"
    wait_for("its folder is gone", lambda: not folder.exists() or not list(folder.iterdir()), 30)
    assert cloud.fsck() == []
