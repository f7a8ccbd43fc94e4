"""Two projects and nobody in between."""

import pytest

from cloud import wait_for


@pytest.fixture(scope="module")
def other(simulated):
    """A token of another project's member."""
    admin = simulated.sdk("nephos-admin")
    project = admin.identity.create_project(name="other", domain_id="default")
    user = admin.identity.create_user(name="other", password="otherother", domain_id="default")
    role = admin.identity.find_role("member")
    admin.identity.assign_project_role_to_user(project, user, role)
    body = {
        "auth": {
            "identity": {"methods": ["password"], "password": {"user": {"id": user.id, "password": "otherother"}}},
            "scope": {"project": {"id": project.id}},
        }
    }
    status, headers, _ = simulated.get("/identity/v3/auth/tokens", method="POST", body=body)
    assert status == 201
    return headers["X-Subject-Token"]


@pytest.fixture(scope="module")
def things(simulated):
    """One of everything, of the project demo."""
    demo = simulated.sdk()
    network = demo.network.find_network("net")
    server = demo.compute.create_server(
        name="mine",
        image_id=demo.image.find_image("image").id,
        flavor_id=demo.compute.find_flavor("tiny").id,
        networks=[{"uuid": network.id}],
    )
    demo.compute.wait_for_server(server, wait=60)
    port = next(demo.network.ports(device_id=server.id))
    group = demo.network.create_security_group(name="mine")
    router = demo.network.create_router(name="mine")
    image = demo.image.create_image(name="mine", disk_format="raw", container_format="bare", visibility="private")
    return {
        f"/compute/v2.1/servers/{server.id}": ("GET", "DELETE"),
        f"/network/v2.0/networks/{network.id}": ("GET", "DELETE"),
        f"/network/v2.0/ports/{port.id}": ("GET", "DELETE"),
        f"/network/v2.0/security-groups/{group.id}": ("GET", "DELETE"),
        f"/network/v2.0/routers/{router.id}": ("GET", "DELETE"),
        f"/image/v2/images/{image.id}": ("GET", "DELETE"),
    }


def test_another_project_finds_nothing_of_ours(simulated, other, things):
    for path, methods in things.items():
        for method in methods:
            status, _, body = simulated.get(path, other, method)
            assert status == 404, (method, path, status, body)
    for path in ("/compute/v2.1/servers", "/network/v2.0/ports", "/network/v2.0/networks", "/image/v2/images"):
        status, _, body = simulated.get(path, other)
        [listed] = [value for value in body.values() if isinstance(value, list)]
        assert status == 200
        assert not [thing for thing in listed if f"{path}/{thing['id']}" in things]


def test_nobody_and_forged_tokens_are_refused(simulated, other, things):
    head, payload, signature = other.split(".")
    forged = [None, "", "x", f"{head}.{payload}.{signature[:-4]}AAAA", f"{head}.{payload}."]
    for path in [*things, "/compute/v2.1/servers", "/placement/resource_providers", "/identity/v3/users"]:
        for token in forged:
            status, headers, _ = simulated.get(path, token)
            assert status == 401, (path, token, status)
            assert headers["x-openstack-request-id"]


def test_a_revoked_token_ends_everywhere_at_once(simulated):
    token = simulated.token()
    assert simulated.get("/compute/v2.1/servers", token)[0] == 200
    import urllib.request

    request = urllib.request.Request(
        simulated.url + "/identity/v3/auth/tokens", method="DELETE",
        headers={"X-Auth-Token": token, "X-Subject-Token": token},
    )
    assert urllib.request.urlopen(request).status == 204
    for path in ("/compute/v2.1/servers", "/network/v2.0/networks", "/image/v2/images", "/identity/v3/auth/tokens"):
        assert simulated.get(path, token)[0] == 401, path


def test_parallel_requests_cannot_pass_a_quota(simulated, other):
    import threading

    admin = simulated.sdk("nephos-admin")
    project = admin.identity.find_project("other")
    admin.set_network_quotas(project.id, network=3)
    answers = []

    def create():
        answers.append(simulated.get("/network/v2.0/networks", other, "POST", {"network": {"name": "n"}})[0])

    threads = [threading.Thread(target=create) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [201] * 3 + [409] * 9


def test_all_is_well_behind_it(simulated):
    wait_for("the consistency check is content", lambda: simulated.fsck() == [], 20, 1)
