"""The ways in which something ends. Each begins it, and gives what brings it back; most come back by themselves."""

import os
import signal
import time
from pathlib import Path

from cloud import is_open, run, wait_for
from cluster import lives


def begin(cluster, kill):
    return globals()[kill.kind](cluster, kill)


def back(_cluster, _kill):
    """Nothing to do: whatever keeps it has started it again."""


def process(cluster, kill):
    """kill -9, as often as it comes back."""
    for number in range(kill.times):
        if number:
            time.sleep(kill.lasts / 4)
        cluster.kill(kill.victim)
    return back


api = worker = process


def rabbitmq(cluster, kill):
    """It takes long to start, and without it everybody looks by themselves, hosts every half minute."""
    process(cluster, kill)
    return lambda _cluster, _kill: wait_for("RabbitMQ takes connections", lambda: is_open("127.0.0.1", 9710), 120, 0.1)


def postgres(cluster, kill):
    """Its recovery writes every file of the cluster to disk, which takes the disk's time and is not the cloud's quiet."""
    process(cluster, kill)
    ready = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_isready"))[-1]
    takes = lambda: run(ready, "-q", "-h", "127.0.0.1", "-p", "9700", check=False).returncode == 0
    return lambda _cluster, _kill: wait_for("PostgreSQL takes connections", takes, 120, 0.1)


def agent(cluster, kill):
    for number in range(kill.times):
        if number:
            time.sleep(kill.lasts / 4)
        cluster.kill(f"agents-{kill.victim}")
    return back


def libvirtd(cluster, kill):
    pid = cluster.libvirtd(kill.victim)
    if lives(pid):
        os.kill(pid, signal.SIGKILL)
    return back


def host(cluster, kill):
    """Somebody pulls the plug, and plugs it in again."""
    cluster.do("lose", kill.victim)
    time.sleep(kill.lasts)
    return lambda cluster, kill: cluster.do("start", kill.victim)


def network(cluster, kill):
    """One host's cable, or the way between two: ports of a switch that are isolated do not reach each other."""
    one, _, other = kill.victim.partition("-")
    if not other:
        switch = ("ip", "-n", "nc-switch", "link", "set", f"{one}-under")
        run(*switch, "down")
        time.sleep(kill.lasts)
        return lambda _cluster, _kill: run(*switch, "up")
    ports = [("bridge", "-n", "nc-switch", "link", "set", "dev", f"{node}-under", "isolated") for node in (one, other)]
    for port in ports:
        run(*port, "on")
    time.sleep(kill.lasts)

    def join(_cluster, _kill):
        for port in ports:
            run(*port, "off")

    return join
