"""How long a guest is away from its network while it goes to another host as it runs: three hosts, real guests."""

import os
import tempfile
import time

from cloud import run, wait_for
from cluster import Cluster, furnish, wait_until_up
from figures import show
from pings import Pings

MOVES = 6


def moves():
    folder = tempfile.mkdtemp(prefix="nephos-bench-", dir="/tmp")
    os.chmod(folder, 0o755)
    cluster = Cluster(folder)
    try:
        cluster.do("start")
        wait_until_up(cluster)
        furnished = furnish(cluster)
        admin, server = cluster.sdk("nephos-admin"), furnished["servers"][0]
        there = [move(cluster, admin, server, furnished["address"]) for _ in range(MOVES)]
        took, gaps = (sorted(figures) for figures in zip(*there))
        show(f"a running guest goes to another host, median of {MOVES}", took[MOVES // 2], "s", "-")
        show("its network is away meanwhile, median", gaps[MOVES // 2], "s", "< 1")
        show("the same, at most", gaps[-1], "s", "< 1")
    finally:
        cluster.clean()
        run("rm", "-rf", folder)


def move(cluster, admin, server, address):
    """Seconds until it has moved, and the longest time for which it answered no ping (one is sent each 0.1 s)."""
    where = lambda: admin.compute.get_server(server.id)
    there = "node2" if where().hypervisor_hostname == "node1" else "node1"
    pings = Pings(address)
    try:
        time.sleep(1)
        began = time.monotonic()
        wish = {"os-migrateLive": {"host": there, "block_migration": "auto"}}
        assert admin.compute.post(f"/servers/{server.id}/action", json=wish, microversion="2.96").status_code == 202
        wait_for("the server has moved", lambda: where().task_state is None, 90, 0.2)
        took = time.monotonic() - began
        time.sleep(1)
    finally:
        times = pings.end()
    assert {node for node, guest in cluster.guests() if guest == server.id} == {there}
    return took, max(later - sooner for sooner, later in zip(times, times[1:]))
