"""The process is killed in the middle of much work; the next one brings all of it to an end."""

import random
import threading

import keystoneauth1.exceptions
import openstack
from cloud import wait_for


def statuses(connection):
    return [server.status for server in connection.compute.servers()]


def settled(connection):
    return all(status == "ACTIVE" for status in statuses(connection))


def shape(connection):
    """What a server of a burst is made of."""
    return {
        "image_id": connection.image.find_image("image").id,
        "flavor_id": connection.compute.find_flavor("tiny").id,
        "networks": [{"uuid": connection.network.find_network("net").id}],
    }


def test_a_burst_that_is_killed_ends_active_or_gone(simulated):
    connection = simulated.sdk()
    dice = random.Random(7)
    for round_number in range(3):
        accepted, asked_away, gone = set(), set(), set()

        def work(part):
            try:
                client = simulated.sdk()
                wanted = shape(client)
                for number in range(10):
                    server = client.compute.create_server(name=f"burst-{round_number}-{part}-{number}", **wanted)
                    accepted.add(server.id)
                    if dice.random() < 0.4:
                        # Killed before the answer, a delete may have been accepted or not; after it, it was.
                        asked_away.add(server.id)
                        client.compute.delete_server(server.id)
                        gone.add(server.id)
            except (openstack.exceptions.SDKException, keystoneauth1.exceptions.ClientException):
                assert killed.is_set(), "it failed before it was killed"

        killed = threading.Event()
        threads = [threading.Thread(target=work, args=(part,)) for part in range(4)]
        for thread in threads:
            thread.start()
        wait_for("some work is accepted", lambda: len(accepted) > 12 or not any(t.is_alive() for t in threads), 60, 0.02)
        killed.set()
        simulated.kill()
        for thread in threads:
            thread.join(120)
        simulated.up()
        wait_for("all ends ACTIVE or gone", lambda: settled(connection), 90, 0.5)
        known = {server.id for server in connection.compute.servers()}
        assert accepted - asked_away <= known, "an accepted server is lost"
        assert not gone & known, "an accepted delete is lost"
        assert simulated.fsck() == []
    for server in list(connection.compute.servers()):
        connection.compute.delete_server(server.id)
    wait_for("all are gone", lambda: not statuses(connection), 60, 0.5)
    assert simulated.fsck() == []
    assert list(connection.network.ports(device_owner="compute:nova")) == []
