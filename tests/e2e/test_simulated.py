"""Many servers on simulated hosts, by the ordinary client."""

from cloud import wait_for


def test_a_burst_of_servers_becomes_active_and_goes(simulated):
    demo = simulated.sdk()
    network = demo.network.find_network("net")
    demo.compute.create_server(
        name="many",
        image_id=demo.image.find_image("image").id,
        flavor_id=demo.compute.find_flavor("tiny").id,
        networks=[{"uuid": network.id}],
        min_count=200,
        max_count=200,
    )
    servers = lambda: list(demo.compute.servers())
    wait_for("all are active", lambda: [s.status for s in servers()].count("ACTIVE") == 200, 60)
    hosts = {server.compute_host for server in simulated.sdk("nephos-admin").compute.servers(all_projects=True)}
    assert len(hosts) == 4, f"they were not spread over the hosts: {hosts}"
    assert len({s.addresses["net"][0]["addr"] for s in servers()}) == 200
    for server in servers():
        demo.compute.delete_server(server.id)
    wait_for("all are gone", lambda: not servers(), 60)
    assert simulated.fsck() == []


def test_when_nothing_fits_the_fault_says_why(simulated):
    admin, demo = simulated.sdk("nephos-admin"), simulated.sdk()
    giant = admin.compute.create_flavor(name="giant", ram=64, vcpus=4096, disk=1)
    server = demo.compute.create_server(
        name="giant", image_id=demo.image.find_image("image").id, flavor_id=giant.id, networks="none"
    )
    wait_for("it fails", lambda: demo.compute.get_server(server.id).status == "ERROR", 30)
    fault = demo.compute.get_server(server.id).fault
    assert "No valid host" in fault["message"], fault
    assert "VCPU" in fault["message"] or "vCPU" in fault["message"], fault
    assert "sim" not in fault["message"], "host names are for administrators"
    demo.compute.delete_server(server.id)
    wait_for("it is gone", lambda: not demo.compute.find_server(server.id), 30)
