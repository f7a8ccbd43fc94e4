"""A cloud in order has no findings; each corruption is found, by its name."""

import sqlite3
import uuid

from cloud import wait_for


def ids(cloud):
    return {finding["id"] for finding in cloud.fsck()}


def database(cloud, service):
    return sqlite3.connect(cloud.state / f"db/{service}.sqlite")


def test_a_cloud_in_order_has_no_findings(simulated):
    demo = simulated.sdk()
    demo.compute.create_server(
        name="good",
        image_id=demo.image.find_image("image").id,
        flavor_id=demo.compute.find_flavor("tiny").id,
        networks=[{"uuid": demo.network.find_network("net").id}],
        min_count=3,
    )
    wait_for("they are active", lambda: [s.status for s in demo.compute.servers()] == ["ACTIVE"] * 3, 60)
    assert simulated.fsck() == []


def test_an_allocation_of_nobody_is_found(simulated):
    token = simulated.token("nephos-admin")
    ghost = str(uuid.uuid4())
    providers = simulated.get("/placement/resource_providers", token)[2]["resource_providers"]
    body = {"allocations": [{"resource_provider": {"uuid": providers[0]["uuid"]}, "resources": {"VCPU": 1}}]}
    assert simulated.get(f"/placement/allocations/{ghost}", token, "PUT", body)[0] == 204
    assert ghost in ids(simulated)
    assert simulated.get(f"/placement/allocations/{ghost}", token, "DELETE")[0] == 204


def test_a_server_without_its_allocation_is_found(simulated):
    token = simulated.token("nephos-admin")
    server = next(simulated.sdk().compute.servers())
    path = f"/placement/allocations/{server.id}"
    allocations = simulated.get(path, token)[2]["allocations"]
    assert simulated.get(path, token, "DELETE")[0] == 204
    assert server.id in ids(simulated)
    back = [{"resource_provider": {"uuid": key}, "resources": value["resources"]} for key, value in allocations.items()]
    assert simulated.get(path, token, "PUT", {"allocations": back})[0] == 204
    assert simulated.fsck() == []


def test_a_port_of_nobody_is_found(simulated):
    admin = simulated.sdk("nephos-admin")
    network = admin.network.find_network("net")
    port = admin.network.create_port(network_id=network.id, device_owner="compute:nova", device_id=str(uuid.uuid4()))
    assert port.id in ids(simulated)
    admin.network.delete_port(port)


def test_wrong_numbers_stuck_work_and_lost_rows_are_found(simulated):
    server = next(simulated.sdk().compute.servers())
    project = server.project_id
    simulated.down()
    compute = database(simulated, "compute")
    with compute:
        compute.execute("UPDATE quota_usage SET used = used + 7 WHERE project_id = ? AND resource = 'cores'", [project])
        compute.execute("UPDATE servers SET task_state = 'powering-off' WHERE id = ?", [server.id])
        compute.execute(
            "INSERT INTO operations (id, kind, resource_id, step, args, caller, request_id, run_at, nudges, lease_until, "
            "attempt, deadline, created_at) VALUES ('old', 'server.boot', 'nobody', 'claim', '{}', '{}', '', 1, 0, 0, 0, 1, 1)"
        )
    network = database(simulated, "network")
    with network:
        network.execute("UPDATE quota_usage SET used = used + 3 WHERE project_id = ? AND resource = 'port'", [project])
    findings = simulated.fsck()
    found = {(finding["by"], finding["id"]) for finding in findings}
    for expected in (("compute", project), ("compute", server.id), ("compute", "old"), ("network", project)):
        assert expected in found, (expected, findings)
    with compute:
        compute.execute("UPDATE quota_usage SET used = used - 7 WHERE project_id = ? AND resource = 'cores'", [project])
        compute.execute("UPDATE servers SET task_state = NULL WHERE id = ?", [server.id])
        compute.execute("DELETE FROM operations WHERE id = 'old'")
    with network:
        network.execute("UPDATE quota_usage SET used = used - 3 WHERE project_id = ? AND resource = 'port'", [project])
    assert simulated.fsck() == []
    simulated.up()


def test_image_data_that_is_lost_or_nobodys_and_wrong_usage_in_placement_are_found(simulated):
    image = simulated.sdk().image.find_image("image")
    simulated.down()
    [file] = [path for path in (simulated.state / "images").rglob("*") if path.is_file() and path.stat().st_size]
    aside = simulated.state / "aside"
    file.rename(aside)
    stray = file.with_name(str(uuid.uuid4()))
    stray.write_bytes(b"nobody's")
    placement = database(simulated, "placement")
    with placement:
        placement.execute("UPDATE inventories SET used = used + 1 WHERE resource_class = 'VCPU'")
    findings = simulated.fsck()
    found = {(finding["by"], finding["id"]) for finding in findings}
    assert {("image", image.id), ("image", stray.name)} <= found, findings
    assert "placement" in {by for by, _ in found}, findings
    aside.rename(file)
    stray.unlink()
    with placement:
        placement.execute("UPDATE inventories SET used = used - 1 WHERE resource_class = 'VCPU'")
    assert simulated.fsck() == []
    simulated.up()
