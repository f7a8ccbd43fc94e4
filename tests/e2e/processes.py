"""A cloud of many processes: every service by itself, PostgreSQL, RabbitMQ, and a proxy in front as an operator has one."""

import http.client
import os
import signal
import socket
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cloud import NEPHOS, Cloud, run, wait_for

RABBITMQ = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
# What runs, and where it listens; agents listen nowhere.
PARTS = {
    "identity": (["identity"], 9101),
    "placement": (["placement"], 9102),
    "image": (["image"], 9103),
    "network-api": (["network/api"], 9104),
    "network-worker": (["network/worker"], None),
    "compute-1": (["compute"], 9105),
    "compute-2": (["compute"], 9106),
    "object": (["object"], 9107),
    "orchestration": (["orchestration"], 9108),
    "dashboard": (["dashboard"], 9109),
    "block": (["block"], 9110),
    "load-balancer": (["load-balancer"], 9111),
    "agents": (["agents"], None),
}
PREFIXES = {
    "/identity": [9101],
    "/placement": [9102],
    "/image": [9103],
    "/network": [9104],
    "/compute": [9105, 9106],
    "/object": [9107],
    "/orchestration": [9108],
    "/dashboard": [9109],
    "/volume": [9110],
    "/load-balancer": [9111],
}
# Services whose prefix is not their name.
NAMES = {"/volume": "block"}
HOSTS = 4


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


class Postgres:
    def __init__(self, folder, port):
        self.folder, self.port = Path(folder), port
        self.bin = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]
        self.url = f"postgres://nephos@127.0.0.1:{port}"
        self.folder.mkdir()
        run("chown", "postgres", self.folder)
        self.do("initdb", "-D", self.folder / "data", "-U", "nephos", "-A", "trust", "--locale", "C", "-E", "UTF8")

    def do(self, program, *arguments, check=True):
        owner = ("setpriv", "--reuid", "postgres", "--regid", "postgres", "--init-groups", "--reset-env")
        return run(*owner, self.bin / program, *arguments, check=check, cwd="/")

    def start(self):
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c max_connections=500"
        log = self.folder / "log"
        # Its own output would keep our pipe open.
        self.do("pg_ctl", "-D", self.folder / "data", "-w", "-l", log, "-o", options, "start")

    def stop(self):
        self.do("pg_ctl", "-D", self.folder / "data", "-m", "immediate", "stop", check=False)


class Broker:
    """As tests of the bus start it: own ports, own data."""

    def __init__(self, folder, port):
        self.folder, self.port, self.child = Path(folder), port, None
        self.configuration = ""
        self.url = f"amqp://guest:guest@127.0.0.1:{port}/%2f"
        self.folder.mkdir()

    def env(self):
        """What its own programs have to know of it."""
        return dict(
            os.environ,
            HOME=str(self.folder),
            RABBITMQ_NODENAME=f"nephos{self.port}@localhost",
            RABBITMQ_NODE_IP_ADDRESS="127.0.0.1",
            RABBITMQ_NODE_PORT=str(self.port),
            RABBITMQ_DIST_PORT=str(self.port + 1),
            RABBITMQ_MNESIA_BASE=str(self.folder / "data"),
            RABBITMQ_LOG_BASE=str(self.folder / "log"),
            RABBITMQ_PID_FILE=str(self.folder / "pid"),
            RABBITMQ_ENABLED_PLUGINS_FILE=str(self.folder / "plugins"),
            RABBITMQ_CONFIG_FILE=str(self.folder / "rabbitmq.conf"),
            RABBITMQ_CONF_ENV_FILE=str(self.folder / "none"),
            ERL_EPMD_PORT=str(self.port + 2),
            ERL_EPMD_ADDRESS="127.0.0.1",
        )

    def start(self):
        (self.folder / "plugins").write_text("[].")
        (self.folder / "rabbitmq.conf").write_text(self.configuration)
        with open(self.folder / "out", "ab") as log:
            self.child = subprocess.Popen(
                [RABBITMQ], env=self.env(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        wait_for("the broker takes connections", lambda: answers(self.port), 90)

    def kill(self):
        if self.child:
            os.killpg(self.child.pid, signal.SIGKILL)
            self.child.wait()
            self.child = None

    def stop(self):
        self.kill()
        env = dict(os.environ, ERL_EPMD_PORT=str(self.port + 2))
        subprocess.run(["epmd", "-kill"], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


class Front(BaseHTTPRequestHandler):
    """One origin for all services; a copy that does not take connections is passed over."""

    protocol_version = "HTTP/1.1"

    def forward(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        prefix = "/" + self.path.split("?")[0].strip("/").split("/")[0]
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("connection", "host")}
        headers["X-Forwarded-Host"] = self.headers["Host"]
        for port in PREFIXES.get(prefix, []):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            try:
                connection.connect()
            except OSError:
                continue
            try:
                connection.request(self.command, self.path, body, headers)
                answer = connection.getresponse()
                data = answer.read()
            except (OSError, http.client.HTTPException):
                break
            finally:
                connection.close()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("connection", "transfer-encoding", "content-length", "date"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)
            return
        self.send_response(502)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = forward

    def log_message(self, *_):
        pass


class Processes(Cloud):
    """The same cloud as `Cloud`, of many processes."""

    def __init__(self, folder, port, hosts=HOSTS):
        folder = Path(folder)
        folder.chmod(0o755)  # PostgreSQL's user passes through
        self.postgres = Postgres(folder / "postgres", 9200)
        self.broker = Broker(folder / "rabbitmq", 9300)
        peers = "".join(
            f"{NAMES.get(prefix, prefix.strip('/'))} = {[f'http://127.0.0.1:{port}' for port in ports]}\n"
            for prefix, ports in PREFIXES.items()
        )
        config = (
            f"database = '{self.postgres.url}'\nbus = '{self.broker.url}'\ntrusted_proxies = ['127.0.0.1/32']\n"
            f"workers = 1\n[peers]\n{peers}"
        )
        super().__init__(folder, port, simulate=hosts, config=config)
        self.children = {}
        self.front = None

    def up(self):
        self.postgres.start()
        self.broker.start()
        self.nephos("bootstrap")
        for name in PARTS:
            self.start(name)
        for name in PARTS:
            self.wait(name)
        self.front = ThreadingHTTPServer(("127.0.0.1", self.port), Front)
        threading.Thread(target=self.front.serve_forever, daemon=True).start()

    def start(self, name):
        parts, port = PARTS[name]
        command = [NEPHOS, "--config", self.file, "run", *parts]
        if port:
            command += ["--listen", f"127.0.0.1:{port}"]
        if name == "agents":
            command += ["--simulate", str(self.simulate)]
        with open(self.state / f"{name}.log", "ab") as log:
            self.children[name] = subprocess.Popen(
                [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def wait(self, name):
        port = PARTS[name][1]

        def ready():
            assert self.children[name].poll() is None, f"{name} ended:\n{self.log_of(name)[-3000:]}"
            return not port or self.health(port)

        wait_for(f"{name} answers", ready, 60)

    def health(self, port):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        try:
            connection.request("GET", "/healthz")
            answer = connection.getresponse()
            return answer.status == 200 and answer.read().decode()
        except OSError:
            return None
        finally:
            connection.close()

    def kill(self, name):
        """SIGKILL of one process."""
        child = self.children.pop(name)
        child.kill()
        child.wait()

    def again(self, name):
        self.kill(name)
        self.start(name)
        self.wait(name)

    def clean(self):
        if self.front:
            self.front.shutdown()
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

    def log_of(self, name):
        return (self.state / f"{name}.log").read_text()

    def log(self):
        return "\n".join(
            f"== {name}\n" + "\n".join(self.log_of(name).splitlines()[-15:]) for name in PARTS if (self.state / f"{name}.log").exists()
        )
