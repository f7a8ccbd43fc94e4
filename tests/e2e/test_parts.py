"""The parts as systemd starts them: the units, the samples of their configurations and of the proxy in front, as the package has them."""

import re
import shlex
import ssl
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

import pytest

from cloud import NEPHOS, ROOT, run, wait_for
from processes import Broker, Postgres, answers

SAMPLES = ROOT / "deploy/debian/parts"
WORKERS = ("identity-worker", "image-worker", "network-worker", "compute-worker")
FRONT = 9443


class Parts:
    """Everything of the guide's machine `control`, part by part, at addresses of this machine."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.chmod(0o755)
        self.etc, self.state = self.folder / "etc", self.folder / "state"
        self.etc.mkdir()
        self.state.mkdir()
        self.postgres = Postgres(self.folder / "postgres", 9600)
        self.broker = Broker(self.folder / "rabbitmq", 9700)
        self.children = {}
        text = (SAMPLES / "nephos.toml").read_text()
        for sample, here in (
            ('"/var/lib/nephos"', f'"{self.state}"'), ("https://cloud.example", f"https://127.0.0.1:{FRONT}"),
            ("postgres://nephos:PASSWORD@127.0.0.1", self.postgres.url), ("amqp://nephos:PASSWORD@127.0.0.1/%2f", self.broker.url),
            ("10.0.0.1:3260", "127.0.0.1:9326"),
        ):
            assert sample in text, sample
            text = text.replace(sample, here)
        (self.etc / "nephos.toml").write_text(text)

    def start(self, instance):
        """What `systemctl start nephos@INSTANCE` runs, with its environment."""
        unit = (ROOT / "deploy/systemd/nephos@.service").read_text()
        command = re.search("^ExecStart=(.*)$", unit, re.M)[1]
        file = re.search("^EnvironmentFile=-(.*)$", unit, re.M)[1].replace("%i", instance)
        sample = SAMPLES / Path(file).name
        lines = sample.read_text().splitlines() if sample.exists() else []
        given = dict(line.split("=", 1) for line in lines if not line.startswith("#"))
        command = command.replace("$NEPHOS_ARGS", given.get("NEPHOS_ARGS", "")).replace("%I", instance.replace("-", "/"))
        command = command.replace("/usr/bin/nephos", str(NEPHOS)).replace("/etc/nephos", str(self.etc))
        self.keep(instance, shlex.split(command))

    def keep(self, name, command):
        with open(self.folder / f"{name}.log", "ab") as log:
            self.children[name] = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def front(self):
        key, pem = self.folder / "key", self.folder / "cloud.pem"
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
            "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", self.folder / "ca.pem")
        pem.write_text((self.folder / "ca.pem").read_text() + key.read_text())
        text = "global\n  maxconn 200\n" + (SAMPLES / "haproxy.cfg").read_text()
        for sample, here in (
            ("/etc/haproxy/cloud.pem", str(pem)), ("bind :443", f"bind 127.0.0.1:{FRONT}"), ("bind 10.0.0.1:8775", "bind 127.0.0.1:9875"),
        ):
            assert sample in text, sample
            text = text.replace(sample, here)
        (self.folder / "haproxy.cfg").write_text(text)
        self.keep("haproxy", ["haproxy", "-db", "-f", str(self.folder / "haproxy.cfg")])

    def get(self, url):
        trust = ssl.create_default_context(cafile=self.folder / "ca.pem")
        with urllib.request.urlopen(url, context=trust, timeout=5) as answer:
            return answer.read().decode()

    def log_of(self, name):
        return (self.folder / f"{name}.log").read_text()[-3000:]

    def clean(self):
        for child in self.children.values():
            child.terminate()
        end = time.monotonic() + 15
        for child in self.children.values():
            try:
                child.wait(max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
        self.broker.stop()
        self.postgres.stop()
        run("rm", "-rf", self.folder)


@pytest.fixture
def parts():
    parts = Parts(tempfile.mkdtemp(prefix="nephos-e2e-", dir="/tmp"))
    try:
        yield parts
    finally:
        parts.clean()


def test_all_parts_run_beside_each_other_by_their_units_and_samples(parts):
    units = sorted(sample.stem for sample in SAMPLES.glob("*.env")) + list(WORKERS)
    parts.postgres.start()
    run(NEPHOS, "--config", parts.etc / "nephos.toml", "bootstrap")
    parts.broker.start()
    parts.front()
    for unit in units:
        parts.start(unit)

    def runs(name):
        assert parts.children[name].poll() is None, f"{name} ended:\n{parts.log_of(name)}"
        return True

    wait_for("the proxy answers", lambda: runs("haproxy") and answers(FRONT), 20)
    ports = [int(port) for port in re.findall(r"127\.0\.0\.1:(9[12]\d\d)\b", (SAMPLES / "haproxy.cfg").read_text())]
    wait_for("all parts answer", lambda: all(map(runs, units)) and all(map(answers, ports)), 60)
    assert "ok" in parts.get(f"https://127.0.0.1:{FRONT}/healthz")
    assert "ok" in parts.get("https://127.0.0.1:9875/healthz")
    (parts.folder / "clouds.yaml").write_text((parts.state / "clouds.yaml").read_text())
    import openstack

    config = openstack.config.OpenStackConfig(config_files=[str(parts.folder / "clouds.yaml")])
    admin = openstack.connection.Connection(config=config.get_one("nephos-admin", cacert=str(parts.folder / "ca.pem"), verify=True))
    services = list(admin.identity.services())
    assert len(services) >= 8
    prefixes = re.search("path,word.* -m str (.*)", (SAMPLES / "haproxy.cfg").read_text())[1].split()
    for endpoint in admin.identity.endpoints(interface="public"):
        assert endpoint.url.startswith(f"https://127.0.0.1:{FRONT}/"), endpoint.url
        assert endpoint.url.removeprefix(f"https://127.0.0.1:{FRONT}/").split("/")[0] in prefixes, endpoint.url
    assert list(admin.image.images()) == [] and list(admin.compute.flavors()) == []
    assert list(admin.block_storage.volumes()) == [] and list(admin.orchestration.stacks()) == []
    network = admin.network.create_network(name="net")
    assert admin.network.get_network(network.id).status == "ACTIVE"
    for unit in units:
        runs(unit)


def test_a_part_waits_for_a_database_that_starts_later(parts):
    parts.postgres.start()
    parts.broker.start()
    run(NEPHOS, "--config", parts.etc / "nephos.toml", "bootstrap")
    parts.postgres.stop()
    parts.start("identity")
    time.sleep(1)
    assert parts.children["identity"].poll() is None, parts.log_of("identity")
    parts.postgres.start()

    def answered():
        # It waits for some seconds; a database that takes longer finds it started again, as the unit says.
        if parts.children["identity"].poll() is not None:
            parts.start("identity")
        return answers(9101)

    wait_for("identity answers", answered, 60)
