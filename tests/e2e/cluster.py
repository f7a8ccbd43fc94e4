"""The cluster of `make cluster`, seen from outside."""

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

from cloud import IMAGE, NEPHOS, ROOT, Cloud, run, ssh, wait_for

SCRIPT = ROOT / "deploy/cluster"
NODES = ("node1", "node2", "node3")
URL = "https://127.0.0.1:9770"
HOSTS_URL = "https://198.18.7.1:9771"


class Cluster(Cloud):
    """As `Cloud`, of `deploy/cluster` in a folder of its own."""

    def __init__(self, folder):
        self.folder = self.state = Path(folder) / "cluster"
        self.url = URL
        self.file = self.state / "nephos.toml"

    def do(self, *arguments, limit=300):
        # Its processes live on, so that a pipe would never end.
        with open(self.folder.parent / "script.log", "ab") as log:
            done = subprocess.run(
                [SCRIPT, "--dir", self.folder, *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=limit
            )
        assert done.returncode == 0, (arguments, (self.folder.parent / "script.log").read_text()[-2000:], self.log()[-3000:])

    def log(self):
        logs = sorted((self.state / "log").glob("*.log")) if self.state.exists() else []
        return "\n".join(f"== {log.name}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-8:]) for log in logs)

    def pid(self, name):
        return int((self.state / "run" / f"{name}.pid").read_text())

    def kill(self, name):
        """One process; of the broker and the database all, because one of them is but a script around it."""
        pid = self.pid(name)
        found = with_children(pid) if name in ("rabbitmq", "postgres") else [pid]
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        wait_for(f"{name} is gone", lambda: not any(map(lives, found)), 10, 0.02)

    def secret(self, node):
        text = (self.state / "hosts" / node / "state/host.toml").read_text()
        return next(line.split('"')[1] for line in text.splitlines() if line.startswith("secret"))

    def nephos_on(self, node, *arguments, **kwargs):
        """A command on a host."""
        holder = (self.state / "hosts" / node / "holder").read_text().strip()
        inside = ("nsenter", "-t", holder, "--net", "--mount", "--uts", "--")
        return run(*inside, NEPHOS, "--config", self.state / "hosts" / node / "nephos.toml", *arguments, **kwargs)

    def fsck(self):
        """What the services find, and what each host finds whose agents run."""
        found = super().fsck()
        for node in NODES:
            if lives(self.pid(f"agents-{node}")):
                done = self.nephos_on(node, "fsck", "--json", check=False)
                assert done.returncode in (0, 1), (node, done.stderr)
                found += [dict(finding, on=node) for finding in json.loads(done.stdout)["findings"]]
        return found

    def libvirtd(self, node):
        return int((self.state / "hosts" / node / "state/libvirt/libvirtd.pid").read_text())

    def guests(self):
        """The processes of all guests, by host and server."""
        found = {}
        for node in NODES:
            pids = run("ip", "netns", "pids", f"nc-{node}", check=False).stdout.split()
            for pid in pids:
                try:
                    words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                except OSError:
                    continue
                # One without an id is libvirt's own look at what QEMU can do.
                if b"qemu-system" in words[0] and b"-uuid" in words:
                    server = words[words.index(b"-uuid") + 1].decode()
                    found[node, server] = int(pid)
        return found

    def asked(self, method, url, token=None, body=None):
        """Status and JSON of one request, whose certificate is checked."""
        command = ["curl", "-sS", "-m", "20", "--cacert", self.state / "ca/ca.pem", "-X", method, "-w", "\n%{http_code}", url]
        command += ["-H", f"X-Auth-Token: {token}"] if token else []
        command += ["-H", "Content-Type: application/json", "-d", json.dumps(body)] if body is not None else []
        text, _, status = run(*command, "-D", self.folder.parent / "headers").stdout.rpartition("\n")
        return int(status), json.loads(text) if text.strip().startswith(("{", "[")) else text

    def host_token(self, node):
        """A token of this host, as a thief of its secret gets it."""
        body = {"host": {"name": node, "secret": self.secret(node)}}
        status, _ = self.asked("POST", f"{HOSTS_URL}/identity/host/v1/tokens", body=body)
        assert status == 201, status
        headers = (self.folder.parent / "headers").read_text().splitlines()
        return next(line.split(": ")[1] for line in headers if line.lower().startswith("x-subject-token"))

    def keep_logs(self):
        """For whoever asks why a test failed: NEPHOS_KEEP_LOGS names a folder for the logs of all processes."""
        if folder := os.environ.get("NEPHOS_KEEP_LOGS"):
            shutil.copytree(self.state / "log", folder, dirs_exist_ok=True)

    def clean(self):
        self.do("down")


def with_children(pid):
    """A process and all that came from it."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *(each for child in children for each in with_children(int(child)))]


def lives(pid):
    """Whether a process is there, and not only to be reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def machine(folder):
    """Everything on the machine that a cluster touches."""
    return {
        "links": {link["ifname"] for link in json.loads(run("ip", "-j", "link").stdout)},
        "spaces": set(run("ip", "netns", "list").stdout.split()),
        "routes": run("ip", "route", "show", "table", "all").stdout,
        "rules": run("ip", "rule").stdout + run("ip", "-6", "rule").stdout,
        "mounts": {line for line in Path("/proc/mounts").read_text().splitlines() if str(folder) in line or "/nc-" in line},
        "filters": run("nft", "list", "ruleset", check=False).stdout,
        "folder": Path(folder).exists(),
    }


def processes():
    """All of them but this test's own commands, by what they run."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()[:120]
            except OSError:
                continue
    return {pid: words for pid, words in found.items() if words}


def all_up(cluster):
    listed = cluster.sdk("nephos-admin").compute.services()
    return [service.host for service in listed if service.state == "up"]


def wait_until_up(cluster, limit=120):
    def up():
        try:
            return sorted(all_up(cluster)) == list(NODES)
        except Exception:  # a service may be away just now
            return False

    wait_for("three hosts are up", up, limit, 0.5)


def furnish(cluster):
    """An image, a flavor, the network outside, a network with a router, a key, and two servers on two hosts."""
    admin, demo = cluster.sdk("nephos-admin"), cluster.sdk()
    admin.create_image("guest", filename=str(IMAGE), disk_format="qcow2", container_format="bare", visibility="public", wait=True)
    admin.compute.create_flavor(name="nano", ram=128, vcpus=1, disk=1)
    flat = {"provider:network_type": "flat", "provider:physical_network": "public"}
    public = admin.network.create_network(name="public", **{"router:external": True}, **flat)
    admin.network.create_subnet(
        network_id=public.id, ip_version=4, cidr="172.24.4.0/24", gateway_ip="172.24.4.1", enable_dhcp=False,
        allocation_pools=[{"start": "172.24.4.10", "end": "172.24.4.99"}],
    )
    network = demo.network.create_network(name="net")
    subnet = demo.network.create_subnet(network_id=network.id, ip_version=4, cidr="10.20.0.0/24", name="subnet")
    router = demo.network.create_router(name="router", external_gateway_info={"network_id": public.id})
    demo.network.add_interface_to_router(router, subnet_id=subnet.id)
    group = demo.network.create_security_group(name="ssh")
    for more in ({"protocol": "icmp"}, {"protocol": "tcp", "port_range_min": 22, "port_range_max": 22}):
        demo.network.create_security_group_rule(security_group_id=group.id, direction="ingress", **more)
    key = cluster.folder.parent / "key"
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
    demo.compute.create_keypair(name="key", public_key=key.with_suffix(".pub").read_text())
    apart = demo.compute.create_server_group(name="apart", policies=["anti-affinity"])
    servers = [
        boot(demo, f"server-{zone}", availability_zone=zone, key_name="key", security_groups=[{"name": "ssh"}],
             scheduler_hints={"group": apart.id})
        for zone in ("zone-a", "zone-b")
    ]
    servers = [demo.compute.wait_for_server(server, wait=180) for server in servers]
    port = next(demo.network.ports(device_id=servers[0].id))
    address = demo.network.create_ip(floating_network_id=public.id, port_id=port.id).floating_ip_address
    login = lambda: ssh(address, key, "true", check=False).returncode == 0
    wait_for("the guest takes log-ins by its floating IP", login, 180, 2)
    return {"key": key, "servers": servers, "public": public, "address": address}


def boot(demo, name, **more):
    return demo.compute.create_server(
        name=name, image_id=demo.image.find_image("guest").id, flavor_id=demo.compute.find_flavor("nano").id,
        **{"networks": [{"uuid": demo.network.find_network("net").id}], **more},
    )


def address_of(demo, server):
    return next(demo.network.ports(device_id=server.id)).fixed_ips[0]["ip_address"]
