"""What is killed: of each kind one victim, hit and, where nobody else does it, put right again."""

import os
import signal
import socket
import time
from pathlib import Path

from cloud import run, wait_for
from cluster import NODES

# A copy of compute is both: it answers calls and does the work behind them.
API = ("identity-1", "identity-2", "placement-1", "image-1", "network-1", "compute-1", "compute-2", "block-1")
WORKERS = ("network-2", "compute-1", "compute-2", "block-1", "identity-1", "image-1")
PORTS = {
    "identity-1": 9721, "identity-2": 9722, "placement-1": 9723, "image-1": 9724, "network-1": 9725, "compute-1": 9726,
    "compute-2": 9727, "block-1": 9731, "rabbitmq": 9710, "postgres": 9700,
}


class Process:
    """A process of a service, the broker or the database; what keeps it starts another."""

    cut, lost = (), ()

    def __init__(self, field, victim):
        self.field, self.victim = field, victim

    def hit(self):
        self.pid = self.pid_now()
        self.field.kill(self.victim)

    def mend(self):
        wait_for(f"there is another {self.victim}", self.is_back, 60, 0.05)
        if port := PORTS.get(self.victim):
            wait_for(f"{self.victim} takes connections", lambda: takes(port), 60, 0.05)


    def is_back(self):
        try:
            pid = self.pid_now()
            return pid != self.pid and os.path.exists(f"/proc/{pid}")
        except (OSError, ValueError):  # just being written
            return False

    def pid_now(self):
        return self.field.pid(self.victim)


class Postgres(Process):
    """It listens at once, and is there when it has read its log again."""

    def mend(self):
        super().mend()
        ready = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_isready"))[-1]
        asked = lambda: run(ready, "-q", "-h", "127.0.0.1", "-p", PORTS["postgres"], check=False).returncode == 0
        wait_for("PostgreSQL takes connections", asked, 60, 0.1)


class Simulation(Process):
    """The agents of all simulated hosts."""

    def hit(self):
        self.field.simulation.kill()
        self.field.simulation.wait()

    def mend(self):
        self.field.simulate()


class Libvirtd(Process):
    """The agent of its host starts another."""

    def hit(self):
        self.pid = self.pid_now()
        os.kill(self.pid, signal.SIGKILL)

    def pid_now(self):
        return self.field.libvirtd(self.victim)


class Host(Process):
    """A whole machine loses its power, and gets it again."""

    def hit(self):
        self.field.do("lose", self.victim)
        self.lost = (self.victim,)

    def mend(self):
        self.field.do("start", self.victim)


class Between(Process):
    """Two hosts do not reach each other; the cloud reaches both."""

    def hit(self):
        self.isolate("on")
        self.cut = (frozenset(self.victim),)

    def mend(self):
        self.isolate("off")

    def isolate(self, state):
        for node in self.victim:
            run("ip", "netns", "exec", "nc-switch", "bridge", "link", "set", "dev", f"{node}-under", "isolated", state)


class Cable(Process):
    """A host that nobody reaches, and that reaches nobody."""

    def hit(self):
        run("ip", "-n", "nc-switch", "link", "set", f"{self.victim}-under", "down")
        self.cut = tuple(frozenset((self.victim, other)) for other in NODES if other != self.victim)

    def mend(self):
        run("ip", "-n", "nc-switch", "link", "set", f"{self.victim}-under", "up")


AGENTS = (*(f"agents-{node}" for node in NODES), "agents-sim", "agents-sim")
PAIRS = tuple((one, other) for one in NODES for other in NODES if one < other)
# What may be hit of each kind, how, and for how many seconds at least and at most it is away.
KINDS = {
    "api": (API, Process, (0, 0)),
    "worker": (WORKERS, Process, (0, 0)),
    "agent": (AGENTS, Process, (0, 0)),
    "libvirtd": (NODES, Libvirtd, (0, 0)),
    "rabbitmq": (("rabbitmq",), Process, (0, 0)),
    "postgres": (("postgres",), Postgres, (0, 0)),
    "host": (NODES, Host, (1, 4)),
    "between": (PAIRS, Between, (2, 6)),
    "cable": (NODES, Cable, (2, 6)),
}


class Strike:
    """What is done in one round, as its dice have it."""

    def __init__(self, field, kind, dice):
        victims, how, (least, most) = KINDS[kind]
        self.kind, self.victim = kind, dice.choice(victims)
        self.away = dice.uniform(least, most)
        # How long the load goes on before it, and after it.
        self.before, self.after = dice.uniform(0.5, 3), dice.uniform(0.5, 2)
        how = Simulation if self.victim == "agents-sim" else how
        self.how = how(field, self.victim)

    def __str__(self):
        return f"{self.kind} {self.victim if isinstance(self.victim, str) else '-'.join(self.victim)}"

    def happen(self):
        self.how.hit()
        time.sleep(self.away)
        self.how.mend()

    def spares(self, path):
        """Whether what goes by these hosts should not have noticed."""
        hosts = set(path)
        return not hosts & set(self.how.lost) and not any(cut <= hosts for cut in self.how.cut)


def takes(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False
