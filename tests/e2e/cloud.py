"""A cloud under test, seen from outside: its command, its clients, and what it leaves on the host."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NEPHOS = Path(os.environ.get("NEPHOS_TEST_BIN", ROOT / "target/debug")) / "nephos"
VENV = ROOT / "target/e2e-venv"
IMAGE = ROOT / "target/guest-image/nephos-guest.qcow2"


def wait_for(what, check, limit=60, pause=0.2):
    """Asks until `check` gives something true; that is its answer."""
    end = time.monotonic() + limit
    while True:
        found = check()
        if found:
            return found
        assert time.monotonic() < end, f"{what}: not within {limit} s"
        time.sleep(pause)


def run(*command, check=True, limit=120, **kwargs):
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=limit, **kwargs
    )
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}\nexit {done.returncode}\n{done.stdout}{done.stderr}")
    return done


class Cloud:
    """One `nephos up` with a state directory of its own."""

    def __init__(self, folder, port, simulate=None, config=""):
        self.folder = Path(folder)
        self.state = self.folder / "state"
        self.port = port
        self.simulate = simulate
        self.url = f"http://127.0.0.1:{port}"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.file = self.folder / "nephos.toml"
        self.file.write_text(f"[nephos]\nstate_dir = 'state'\nlisten = '127.0.0.1:{port}'\n{config}")

    # the process

    def nephos(self, *arguments, **kwargs):
        return run(NEPHOS, "--config", self.file, *arguments, **kwargs)

    def begin(self, *arguments):
        """The same beside the test, which reads what it says."""
        command = [str(part) for part in (NEPHOS, "--config", self.file, *arguments)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def up(self):
        simulate = [] if self.simulate is None else ["--simulate", self.simulate]
        return self.nephos("up", "--detach", *simulate)

    def down(self):
        return self.nephos("down")

    def clean(self):
        self.nephos("down", "--clean", check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def pid(self):
        return int((self.state / "nephos.pid").read_text())

    def kill(self):
        """SIGKILL, and until it is gone."""
        pid = self.pid()
        os.kill(pid, signal.SIGKILL)
        wait_for("the process is gone", lambda: self.nephos("status", check=False).returncode == 3, 10)
        return pid

    def log(self):
        return (self.state / "nephos.log").read_text()

    def fsck(self):
        done = self.nephos("fsck", "--json", check=False)
        assert done.returncode in (0, 1), done.stderr
        return json.loads(done.stdout)["findings"]

    # the clients

    def openstack(self, *arguments, cloud="nephos", check=True, limit=180):
        """The openstack command; its JSON, or its text."""
        env = dict(os.environ, OS_CLIENT_CONFIG_FILE=str(self.state / "clouds.yaml"))
        done = run(VENV / "bin/openstack", "--os-cloud", cloud, *arguments, check=check, limit=limit, env=env)
        if not check:
            return done
        if "json" in arguments:
            return json.loads(done.stdout)
        return done.stdout.strip()

    def admin(self, *arguments, **kwargs):
        return self.openstack(*arguments, cloud="nephos-admin", **kwargs)

    def sdk(self, name="nephos", **kwargs):
        import openstack

        os.environ["OS_CLIENT_CONFIG_FILE"] = str(self.state / "clouds.yaml")
        config = openstack.config.OpenStackConfig(config_files=[str(self.state / "clouds.yaml")])
        return openstack.connection.Connection(config=config.get_one(name, **kwargs))

    def get(self, path, token=None, method="GET", body=None):
        """Status, headers and JSON of one raw request."""
        headers = {"Content-Type": "application/json"}
        if token:
            headers["X-Auth-Token"] = token
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                status, headers, text = answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as fault:
            status, headers, text = fault.code, fault.headers, fault.read()
        try:
            return status, headers, json.loads(text)
        except ValueError:
            return status, headers, text

    def token(self, cloud="nephos"):
        return self.sdk(cloud).auth_token

    def server(self, name_or_id, cloud="nephos"):
        return self.openstack("server", "show", name_or_id, "-f", "json", cloud=cloud)

    # the host

    def libvirt_uri(self):
        socket_path = self.state / "libvirt/run/libvirt-sock"
        return f"qemu:///system?socket={socket_path}"

    def domains(self):
        done = run("virsh", "-c", self.libvirt_uri(), "list", "--all", "--uuid", check=False)
        return set(done.stdout.split())

    def host(self):
        """Everything of ours on the host that should be as before once all is deleted."""
        links = {link["ifname"] for link in json.loads(run("ip", "-j", "link").stdout)}
        spaces = set(run("ip", "netns", "list").stdout.split("\n"))
        servers = self.state / "host/servers"
        files = {entry.name for entry in servers.iterdir()} if servers.exists() else set()
        rules = run("nft", "list", "ruleset", check=False).stdout
        rules = re.sub(r"counter packets \d+ bytes \d+", "counter", rules)
        return {"links": links, "spaces": spaces, "files": files, "rules": rules, "domains": self.domains()}


def ssh(address, key, command, check=True, limit=60):
    """A command in a guest."""
    return run(
        "ssh", "-i", key, "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o",
        "LogLevel=ERROR", "-o", "ConnectTimeout=5", "-o", "BatchMode=yes", f"cirros@{address}", command,
        check=check, limit=limit,
    )


def is_open(address, port, limit=2):
    """Whether something takes a TCP connection."""
    try:
        socket.create_connection((address, port), timeout=limit).close()
        return True
    except OSError:
        return False
