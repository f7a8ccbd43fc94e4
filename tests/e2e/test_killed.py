"""The process is killed in the middle of much work; the next one brings all of it to an end."""

import random
import threading

from cloud import wait_for


def statuses(connection):
    return [server.status for server in connection.compute.servers()]


def settled(connection):
    return all(status == "ACTIVE" for status in statuses(connection))


def create(connection, count, name):
    image = connection.image.find_image("image")
    flavor = connection.compute.find_flavor("tiny")
    network = connection.network.find_network("net")
    made = []
    for number in range(count):
        made.append(
            connection.compute.create_server(
                name=f"{name}-{number}", image_id=image.id, flavor_id=flavor.id, networks=[{"uuid": network.id}]
            )
        )
    return made


def test_a_burst_that_is_killed_ends_active_or_gone(simulated):
    connection = simulated.sdk()
    dice = random.Random(7)
    for round_number in range(3):
        accepted, refused = [], []

        def work(part):
            try:
                client = simulated.sdk()
                for server in create(client, 10, f"burst-{round_number}-{part}"):
                    accepted.append(server.id)
                    if dice.random() < 0.4:
                        client.compute.delete_server(server.id)
            except Exception as why:  # the cloud is killed under us
                refused.append(why)

        threads = [threading.Thread(target=work, args=(part,)) for part in range(4)]
        for thread in threads:
            thread.start()
        wait_for("some work is accepted", lambda: len(accepted) > 12 or not any(t.is_alive() for t in threads), 60, 0.02)
        simulated.kill()
        for thread in threads:
            thread.join(120)
        simulated.up()
        wait_for("all ends ACTIVE or gone", lambda: settled(connection), 90, 0.5)
        known = {server.id for server in connection.compute.servers()}
        lost = [server for server in accepted if server not in known and connection.compute.find_server(server)]
        assert not lost
        assert simulated.fsck() == []
    for server in list(connection.compute.servers()):
        connection.compute.delete_server(server.id)
    wait_for("all are gone", lambda: not statuses(connection), 60, 0.5)
    assert simulated.fsck() == []
    assert list(connection.network.ports(device_owner="compute:nova")) == []
