"""Whatever a client sends, it gets an answer of the service's own, and never a server error."""

import pytest

from cloud import wait_for

SERVICES = ("identity", "placement", "image", "network", "compute")
LISTS = {
    "identity": "/identity/v3/projects",
    "placement": "/placement/resource_providers",
    "image": "/image/v2/images",
    "network": "/network/v2.0/networks",
    "compute": "/compute/v2.1/servers",
}


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize(
    "body", [b"{", b"[]", b"null", b"\xff\xfe", b'"x"', b"{" * 5000, b'{"a":' * 200 + b"1" + b"}" * 200, b"0" * 300_000]
)
def test_a_broken_body_is_a_bad_request(simulated, service, body):
    token = simulated.token("nephos-admin")
    status, headers, answer = simulated.get(LISTS[service], token, "POST", body)
    assert status in (400, 413, 415), (status, answer)
    assert headers["x-openstack-request-id"]
    assert isinstance(answer, dict), answer


@pytest.mark.parametrize("service", SERVICES)
def test_a_bad_id_is_not_found(simulated, service):
    token = simulated.token("nephos-admin")
    for name in ("nonsense", "%00", "..%2f..", "x" * 300, "%F0%9F%92%A9"):
        status, _, answer = simulated.get(f"{LISTS[service]}/{name}", token)
        assert status in (400, 404), (name, status, answer)


def test_a_truncated_upload_leaves_a_queued_image(simulated):
    import socket

    token = simulated.token("nephos-admin")
    _, _, image = simulated.get("/image/v2/images", token, "POST", {"name": "cut", "disk_format": "raw", "container_format": "bare"})
    with socket.create_connection(("127.0.0.1", simulated.port)) as wire:
        wire.sendall(
            f"PUT /image/v2/images/{image['id']}/file HTTP/1.1\r\nHost: x\r\nX-Auth-Token: {token}\r\n"
            "Content-Type: application/octet-stream\r\nContent-Length: 10000000\r\n\r\n".encode() + b"x" * 200_000
        )
    def queued():
        return simulated.get(f"/image/v2/images/{image['id']}", token)[2]["status"] == "queued"

    wait_for("the image waits for another upload", queued, 20)
    assert simulated.get(f"/image/v2/images/{image['id']}", token, "DELETE")[0] == 204


def test_an_image_with_a_backing_file_is_refused(simulated):
    token = simulated.token("nephos-admin")
    header = b"QFI\xfb" + (3).to_bytes(4, "big") + (104).to_bytes(8, "big") + (11).to_bytes(4, "big")
    header += (16).to_bytes(4, "big") + (1 << 20).to_bytes(8, "big")
    evil = (header + b"\0" * (104 - len(header)) + b"/etc/passwd").ljust(65536, b"\0")
    _, _, image = simulated.get("/image/v2/images", token, "POST", {"name": "evil", "disk_format": "qcow2", "container_format": "bare"})
    import urllib.error
    import urllib.request

    request = urllib.request.Request(
        f"{simulated.url}/image/v2/images/{image['id']}/file", data=evil, method="PUT",
        headers={"X-Auth-Token": token, "Content-Type": "application/octet-stream"},
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    assert 400 <= refused.value.code < 500
    assert simulated.get(f"/image/v2/images/{image['id']}", token)[2]["status"] != "active"
