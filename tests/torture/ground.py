"""What stands before anything is killed: networks, projects, guests that stay, and the bystanders' traffic."""

import re
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from client import Client
from cloud import IMAGE, run, ssh, wait_for
from cluster import URL, wait_until_up
from load import Project
from pings import Pings
from plan import LOST, PROJECTS

PASSWORD = "only of this test"


class Ground:
    """The cluster's things, in the hands of whoever made them."""

    def __init__(self, cluster, say):
        self.cluster, self.say = cluster, say
        wait_until_up(cluster)
        admin = cluster.sdk("nephos-admin")
        image = admin.create_image(
            "guest", filename=str(IMAGE), disk_format="qcow2", container_format="bare", visibility="public", wait=True
        )
        flavor = admin.compute.create_flavor(name="nano", ram=128, vcpus=1, disk=1)
        flat = {"provider:network_type": "flat", "provider:physical_network": "public"}
        public = admin.network.create_network(name="public", **{"router:external": True}, **flat)
        admin.network.create_subnet(
            network_id=public.id, ip_version=4, cidr="172.24.4.0/24", gateway_ip="172.24.4.1", enable_dhcp=False,
            allocation_pools=[{"start": "172.24.4.10", "end": "172.24.4.99"}],
        )
        self.shared = {"image": image.id, "flavor": flavor.id, "public": public.id}
        self.ca = cluster.state / "ca/ca.pem"
        self.admin = self.client_of_admin()
        self.bystanders = Bystanders(self, cluster.sdk())
        self.projects = [self.project(admin, name) for name in PROJECTS]
        self.keep(admin)
        self.bystanders.watch()

    def client_of_admin(self):
        auth = self.cluster.sdk("nephos-admin").config.config["auth"]
        client = Client(URL, self.ca, auth["username"], auth["password"], auth["project_name"])
        client.log_in()
        return client

    def project(self, admin, name):
        project = admin.identity.create_project(name=name, domain_id="default")
        user = admin.identity.create_user(name=name, password=PASSWORD, domain_id="default")
        admin.identity.assign_project_role_to_user(project, user, admin.identity.find_role("member"))
        client = Client(URL, self.ca, name, PASSWORD, name)
        client.log_in()
        made = lambda service, path, key, body: ok(client.once("POST", service, path, {key: body}))[key]["id"]
        network = made("network", "/v2.0/networks", "network", {"name": "net"})
        made("network", "/v2.0/subnets", "subnet", {"network_id": network, "ip_version": 4, "cidr": "10.30.0.0/24"})
        ok(client.once("PUT", "object-store", "/torture"))
        return Project(name, client, self.admin, {**self.shared, "network": network}, self.say)

    def keep(self, admin):
        """Of each project a guest that stays, and a volume that goes into it and out again; where no host is lost."""
        for project in self.projects:
            client, name = project.client, f"{project.name}-kept"
            body = {
                "name": name, "imageRef": self.shared["image"], "flavorRef": self.shared["flavor"], "availability_zone": "zone-a",
                "networks": [{"uuid": project.ground["network"]}],
            }
            server = ok(client.once("POST", "compute", "/servers", {"server": body}))["server"]["id"]
            volume = ok(client.once("POST", "block-storage", "/volumes", {"volume": {"name": name, "size": 1}}))["volume"]["id"]
            project.ids["server", name], project.ids["volume", name] = server, volume
            project.book.there["server", name] = project.book.there["volume", name] = {True}
            project.book.states[name] = {"ACTIVE"}
        for project in self.projects:
            server = admin.compute.get_server(project.ids["server", f"{project.name}-kept"])
            admin.compute.wait_for_server(server, wait=240)
            log = lambda: admin.compute.get_server_console_output(server)["output"]
            wait_for(f"the guest of {project.name} has started", lambda: "login:" in log(), 300, 1)


def ok(answer):
    assert 200 <= answer.status < 300, (answer.status, answer.body)
    return answer.body


class Bystanders:
    """Two guests on two hosts, whom nothing that is killed concerns: from outside to both, and from one to the other."""

    def __init__(self, ground, demo):
        self.cluster, self.demo = ground.cluster, demo
        shared = ground.shared
        network = demo.network.create_network(name="net")
        subnet = demo.network.create_subnet(network_id=network.id, ip_version=4, cidr="10.20.0.0/24")
        router = demo.network.create_router(name="router", external_gateway_info={"network_id": shared["public"]})
        demo.network.add_interface_to_router(router, subnet_id=subnet.id)
        self.carried_by(ground, router)
        group = demo.network.create_security_group(name="ssh")
        for more in ({"protocol": "icmp"}, {"protocol": "tcp", "port_range_min": 22, "port_range_max": 22}):
            demo.network.create_security_group_rule(security_group_id=group.id, direction="ingress", **more)
        self.key = ground.cluster.folder.parent / "key"
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key)
        demo.compute.create_keypair(name="key", public_key=self.key.with_suffix(".pub").read_text())
        apart = demo.compute.create_server_group(name="apart", policies=["anti-affinity"])
        made = [
            demo.compute.create_server(
                name=f"bystander-{number}", image_id=shared["image"], flavor_id=shared["flavor"], key_name="key",
                networks=[{"uuid": network.id}], security_groups=[{"name": "ssh"}], availability_zone="zone-a",
                scheduler_hints={"group": apart.id},
            )
            for number in (1, 2)
        ]
        self.servers = [demo.compute.wait_for_server(server, wait=240) for server in made]
        self.inside, self.addresses = [], []
        for server in self.servers:
            port = next(demo.network.ports(device_id=server.id))
            self.inside.append(port.fixed_ips[0]["ip_address"])
            self.addresses.append(demo.network.create_ip(floating_network_id=shared["public"], port_id=port.id).floating_ip_address)

    @staticmethod
    def carried_by(ground, router):
        """Their router is not on the host that is lost."""
        agents = ground.admin.look("network", f"/v2.0/routers/{router.id}/l3-agents")["agents"]
        assert agents and all(agent["host"] != LOST for agent in agents), agents

    def watch(self):
        with ThreadPoolExecutor() as pool:
            list(pool.map(self.wait_for_log_in, self.addresses))
        self.pings = [Pings(address) for address in self.addresses]
        self.talk = Talk(self.addresses[0], self.key, self.inside[1])
        self.before = {server.id: self.cluster_pid(server.id) for server in self.servers}
        time.sleep(2)

    def wait_for_log_in(self, address):
        wait_for(f"the guest at {address} takes log-ins", lambda: ssh(address, self.key, "true", check=False).returncode == 0, 300, 1)

    def cluster_pid(self, server):
        return next((pid for (_, guest), pid in self.cluster.guests().items() if guest == server), None)

    def pids(self):
        return [(server.name, self.cluster_pid(server.id), self.before[server.id]) for server in self.servers]

    def traffic(self):
        outside = [(f"{address} from outside", ping.times) for address, ping in zip(self.addresses, self.pings)]
        return [*outside, ("1 to 2", self.talk.times)]

    def end(self):
        for ping in self.pings:
            ping.end()
        self.talk.end()


class Talk(threading.Thread):
    """One log-in, which stays, and in it a guest that asks the other one all the time."""

    def __init__(self, address, key, other):
        super().__init__(daemon=True)
        self.times = []
        quiet = ("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "BatchMode=yes")
        # An answer a line, twice a second or nearly.
        asks = f"while :; do ping -c 1 -W 1 {other} | grep -o 'bytes from' || :; sleep 0.5; done"
        self.ssh = subprocess.Popen(
            ["ssh", "-i", str(key), *quiet, f"cirros@{address}", asks], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True,
        )
        self.start()

    def run(self):
        for line in self.ssh.stdout:
            if re.search("bytes from", line):
                self.times.append(time.monotonic())

    def end(self):
        self.ssh.kill()
        self.ssh.wait()
