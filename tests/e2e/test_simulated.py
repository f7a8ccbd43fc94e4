"""Many servers on simulated hosts, by the ordinary client."""

import uuid

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


def test_a_host_is_drained_and_what_stays_says_why(simulated):
    admin, demo = simulated.sdk("nephos-admin"), simulated.sdk()
    demo.compute.create_server(
        name="moving", image_id=demo.image.find_image("image").id, flavor_id=demo.compute.find_flavor("tiny").id,
        networks=[{"uuid": demo.network.find_network("net").id}], min_count=12, max_count=12,
    )
    servers = lambda: list(admin.compute.servers(all_projects=True))
    wait_for("all are active", lambda: [server.status for server in servers()].count("ACTIVE") == 12, 60)
    # One host with a server that runs, one that is off, and one that has a volume.
    host = next(one for one in (f"sim-{n}" for n in range(1, 5)) if [s.compute_host for s in servers()].count(one) >= 3)
    runs, off, has_volume = [server for server in servers() if server.compute_host == host][:3]
    demo.compute.stop_server(off.id)
    volume = demo.block_storage.create_volume(name="data", size=1)
    wait_for("the volume is there", lambda: demo.block_storage.get_volume(volume.id).status == "available", 30)
    demo.compute.create_volume_attachment(has_volume.id, volume_id=volume.id)
    wait_for("it is in use", lambda: demo.block_storage.get_volume(volume.id).status == "in-use", 30)
    wait_for("it is off", lambda: demo.compute.get_server(off.id).status == "SHUTOFF", 30)
    on = lambda: {server.id for server in servers() if server.compute_host == host}
    status = lambda server: demo.compute.get_server(server.id).status

    # A router lives there, too.
    router = admin.network.create_router(name="drained")
    admin.network.add_interface_to_router(router, subnet_id=admin.network.find_network("net").subnet_ids[0])
    lives = lambda: [agent.host for agent in admin.network.routers_hosting_l3_agents(router)]
    wait_for("the router lives somewhere", lambda: len(lives()) == 1, 30)
    agents = {agent.host: agent for agent in admin.network.agents(agent_type="L3 agent")}
    if lives() != [host]:
        for other in agents.values():
            admin.network.update_agent(other, admin_state_up=other.host == host)
        admin.network.remove_router_from_agent(agents[lives()[0]], router)
        wait_for("the router lives there", lambda: lives() == [host], 30)
        for other in agents.values():
            admin.network.update_agent(other, admin_state_up=True)
    # And a load balancer: they are spread.
    subnet = admin.network.find_network("net").subnet_ids[0]
    balancers = [demo.load_balancer.create_load_balancer(name=f"lb{n}", vip_subnet_id=subnet) for n in agents]
    balanced = lambda: {admin.network.get_port(lb.vip_port_id).binding_host_id for lb in balancers}
    for lb in balancers:
        demo.load_balancer.wait_for_load_balancer(lb.id, interval=0.2, wait=30)
    assert host in balanced()
    # A move that a drain before this one has begun, and that nobody has confirmed.
    admin.compute.migrate_server(off.id)
    wait_for("it is elsewhere", lambda: status(off) == "VERIFY_RESIZE", 60)

    drained = simulated.nephos("host", "drain", host, check=False)
    assert drained.returncode == 1 and "1 servers, 0 routers and 0 load balancers stay" in drained.stdout, drained
    assert f"router drained ({router.id}) lives on another host now" in drained.stdout and lives() != [host], drained
    assert f"({has_volume.id}) stays: it has volumes" in drained.stdout and "--switch-off" in drained.stdout, drained
    assert on() == {has_volume.id}
    assert host not in balanced(), drained
    for lb in balancers:
        assert demo.load_balancer.get_load_balancer(lb.id).provisioning_status == "ACTIVE"
        demo.load_balancer.delete_load_balancer(lb.id)
    assert (status(runs), status(off), status(has_volume)) == ("ACTIVE", "SHUTOFF", "ACTIVE")
    kinds = {one["migration_type"] for one in admin.compute.get("/os-migrations", microversion="2.59").json()["migrations"]}
    assert kinds == {"live-migration", "migration"}, kinds
    # With its guest shut down on the way that one goes too.
    drained = simulated.nephos("host", "drain", host, "--switch-off")
    assert f"Host {host} is empty." in drained.stdout, drained
    assert on() == set() and status(has_volume) == "ACTIVE"
    admin.network.remove_interface_from_router(router, subnet_id=admin.network.find_network("net").subnet_ids[0])
    admin.network.delete_router(router)
    admin.network.update_agent(agents[host], admin_state_up=True)
    assert [one.volume_id for one in demo.compute.volume_attachments(has_volume.id)] == [volume.id]
    # Nothing new comes there until it is let in again.
    demo.compute.create_server(
        name="new", image_id=demo.image.find_image("image").id, flavor_id=demo.compute.find_flavor("tiny").id,
        networks="none", min_count=8,
    )
    wait_for("the new ones are active", lambda: [server.status for server in servers()].count("ACTIVE") == 19, 60)
    assert on() == set()
    # Somebody who is on the way there has room already: the host is not empty before that has ended.
    provider = next(admin.placement.resource_providers(name=host))
    consumer = str(uuid.uuid4())
    held = {"allocations": {provider.id: {"resources": {"VCPU": 1}}}, "project_id": "p", "user_id": "u",
            "consumer_generation": None, "consumer_type": "INSTANCE"}
    placement = {"headers": {"OpenStack-API-Version": "placement 1.39"}}
    assert admin.placement.put(f"/allocations/{consumer}", json=held, **placement).status_code == 204
    waiting = simulated.begin("host", "drain", host)
    said = iter(waiting.stdout.readline, "")
    assert any(f"Waits for {consumer}, which has room here." in line for line in said)
    assert admin.placement.delete(f"/allocations/{consumer}").status_code == 204
    assert any(f"Host {host} is empty." in line for line in said) and waiting.wait(30) == 0
    # Nothing leaves a host that is silent.
    service = next(admin.compute.services(host=host, binary="nova-compute"))
    admin.compute.update_service_forced_down(service, forced=True)
    refused = simulated.nephos("host", "drain", host, check=False)
    assert refused.returncode != 0 and f"host {host} does not report" in refused.stderr, refused
    admin.compute.update_service_forced_down(service, forced=False)
    service = next(admin.compute.services(host=host, binary="nova-compute"))
    assert service.status == "disabled" and service.disabled_reason == "drained"
    simulated.nephos("host", "drain", "--undo", host)
    service = next(admin.compute.services(host=host, binary="nova-compute"))
    assert service.status == "enabled"
    assert next(admin.network.agents(agent_type="L3 agent", host=host)).is_admin_state_up
    for server in servers():
        demo.compute.delete_server(server.id)
    wait_for("all are gone", lambda: not servers(), 60)
    wait_for("the volume is free", lambda: demo.block_storage.get_volume(volume.id).status == "available", 30)
    demo.block_storage.delete_volume(volume.id)
    wait_for("everything fits together", lambda: simulated.fsck() == [], 30)
    nowhere = simulated.nephos("host", "drain", "nowhere", check=False)
    assert nowhere.returncode != 0 and "there is no host nowhere" in nowhere.stderr, nowhere
