"""Guests that nobody asks anything of: one on each real host. They keep their processes, and they are reached all the time,
from outside and by each other, unless what was hit is on the way."""

import re
import time

from cloud import ssh, wait_for
from cluster import NODES
from pings import Pings

ADDRESSES = dict(zip(NODES, ("10.20.0.11", "10.20.0.12", "10.20.0.13")))
ZONES = dict(zip(NODES, ("zone-a", "zone-a", "zone-b")))
# Seconds of which no question was answered, not even late, that are nobody's fault.
GAP = 2


class Bystanders:
    def __init__(self, field):
        self.field, self.servers, self.outside = field, {}, {}
        demo, admin = field.sdk(), field.sdk("nephos-admin")
        networks = {network.name: network.id for network in demo.network.networks()}
        image, flavor = demo.image.find_image("guest").id, demo.compute.find_flavor("guest").id
        apart = demo.compute.create_server_group(name="apart", policies=["anti-affinity"])
        waiting = []
        for number, node in enumerate(NODES):
            group = demo.network.find_security_group("calm").id
            port = demo.network.create_port(
                network_id=networks["calm"], fixed_ips=[{"ip_address": f"10.20.0.{11 + number}"}], security_groups=[group]
            )
            waiting.append((port, demo.compute.create_server(
                name=f"bystander-{number}", image_id=image, flavor_id=flavor, networks=[{"port": port.id}], key_name="key",
                availability_zone=ZONES[node], scheduler_hints={"group": apart.id},
            )))
        for port, server in waiting:
            demo.compute.wait_for_server(server, wait=180)
            host = admin.compute.get_server(server.id).hypervisor_hostname
            self.servers[host] = (server.id, port.fixed_ips[0]["ip_address"])
            self.outside[host] = demo.network.create_ip(floating_network_id=networks["public"], port_id=port.id).floating_ip_address
        for host in NODES:
            self.wait_for(host)
        self.router = demo.network.find_router("calm").id

    def wait_for(self, host):
        """Until it takes log-ins."""
        wait_for(f"the guest on {host} takes log-ins", lambda: self.inside(host, "true").returncode == 0, 240, 2)

    def inside(self, host, command):
        return ssh(self.outside[host], self.field.key, command, check=False)

    def begin(self):
        """What is now, to which what is after is compared."""
        admin = self.field.sdk("nephos-admin")
        self.gateway = next(agent.host for agent in admin.network.routers_hosting_l3_agents(self.router) if agent.host)
        self.pids = {host: self.pid(host) for host in NODES}
        for host in NODES:
            ends = "; ".join(f"ping {self.servers[other][1]} >{other} 2>&1 &" for other in NODES if other != host)
            self.inside(host, f"killall ping; {ends.replace('&;', '&')}")
        self.pings = {host: Pings(self.outside[host]) for host in NODES}

    def pid(self, host):
        return self.field.guests().get((host, self.servers[host][0]))

    def unwell(self, strike):
        """Who is not reached just now, although nothing is hit any more; whose host was off has to boot."""
        now = time.monotonic()
        silent = [host for host, pings in self.pings.items() if not pings.times or pings.times[-1] < now - 1]
        return [f"the guest on {host} does not answer" for host in silent if strike.spares((host,))]

    def judge(self, strike):
        """What they noticed, of what they should not have."""
        wrong = []
        for host in NODES:
            pings = self.pings[host]
            pings.end()
            # The last ones may still be on their way.
            lost = longest_gap([-1, *sorted(set(pings.numbers)), pings.asked - 10]) / 10
            if lost > GAP and strike.spares((self.gateway, host)):
                wrong.append(f"the guest on {host} was not reached for {lost:.1f} s by way of {self.gateway}")
            if strike.spares((host,)) and self.pid(host) != self.pids[host]:
                wrong.append(f"the guest on {host} was process {self.pids[host]} and is {self.pid(host)}")
        for host in NODES:
            if not strike.spares((host,)):
                continue
            said = self.inside(host, f"killall -INT ping; sleep 0.2; tail -n 300 {' '.join(o for o in NODES if o != host)}").stdout
            for other, text in re.findall(r"==> (\w+) <==\n(.*?)(?===>|\Z)", said, re.S):
                lost = longest_gap([int(number) for number in re.findall(r"seq=(\d+)", text)])
                if lost > GAP and strike.spares((host, other)):
                    wrong.append(f"the guests on {host} and {other} did not reach each other for {lost} s")
        return wrong


def longest_gap(numbers):
    """How many of a ping's answers are missing in a row; more than may be, if there is none."""
    return max((later - sooner - 1 for sooner, later in zip(numbers, numbers[1:])), default=GAP + 1)
