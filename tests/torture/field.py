"""Where it happens: the cluster, simulated hosts beside its three, and what the load is made of."""

import os
import subprocess

from cloud import IMAGE, NEPHOS, run
from cluster import NODES, Cluster, wait_until_up

SIMULATED = 4
# Hosts that are only simulated have no zone of their own.
SIMULATED_ZONE = "nova"
FLAT = {"provider:network_type": "flat", "provider:physical_network": "public"}


class Field(Cluster):
    """As `Cluster`, furnished for the torture."""

    def up(self):
        self.do("start")
        self.simulate()
        wait_until_up(self, hosts=[*NODES, *(f"sim-{number}" for number in range(1, SIMULATED + 1))])
        self.furnish()

    def simulate(self):
        """One process with the agents of all simulated hosts; `down` finds it by its environment."""
        with open(self.state / "log/agents-sim.log", "ab") as log:
            self.simulation = subprocess.Popen(
                [NEPHOS, "--config", self.file, "run", "agents", "--simulate", str(SIMULATED)],
                env=dict(os.environ, NEPHOS_CLUSTER=str(self.folder)), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )

    def furnish(self):
        admin, demo = self.sdk("nephos-admin"), self.sdk()
        shared = {"container_format": "bare", "visibility": "public", "wait": True}
        admin.create_image("guest", filename=str(IMAGE), disk_format="qcow2", **shared)
        # A guest of this image costs a process, and ends at its firmware.
        nothing = self.folder.parent / "nothing"
        nothing.write_bytes(bytes(1 << 20))
        admin.create_image("nothing", filename=str(nothing), disk_format="raw", **shared)
        for name, ram in (("small", 64), ("large", 80), ("guest", 128)):
            admin.compute.create_flavor(name=name, ram=ram, vcpus=1, disk=1)
        admin.set_compute_quotas("demo", instances=500, cores=500, ram=500_000)
        admin.set_network_quotas("demo", port=500, floatingip=60, security_group_rule=500)
        admin.set_volume_quotas("demo", volumes=100, gigabytes=500)
        public = admin.network.create_network(name="public", **{"router:external": True}, **FLAT)
        admin.network.create_subnet(
            network_id=public.id, ip_version=4, cidr="172.24.4.0/24", gateway_ip="172.24.4.1", enable_dhcp=False,
            allocation_pools=[{"start": "172.24.4.10", "end": "172.24.4.99"}],
        )
        # Bystanders have a network and a router of their own.
        for name, cidr in (("calm", "10.20.0.0/24"), ("busy", "10.30.0.0/16")):
            network = demo.network.create_network(name=name)
            subnet = demo.network.create_subnet(network_id=network.id, ip_version=4, cidr=cidr, name=name)
            router = demo.network.create_router(name=name, external_gateway_info={"network_id": public.id})
            demo.network.add_interface_to_router(router, subnet_id=subnet.id)
        demo.network.create_security_group(name="busy")
        group = demo.network.create_security_group(name="calm")
        for more in ({"protocol": "icmp"}, {"protocol": "tcp", "port_range_min": 22, "port_range_max": 22}):
            demo.network.create_security_group_rule(security_group_id=group.id, direction="ingress", **more)
        key = self.key = self.folder.parent / "key"
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
        demo.compute.create_keypair(name="key", public_key=key.with_suffix(".pub").read_text())
