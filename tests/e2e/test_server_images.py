"""Images of real guests: made while they run and while they are off, killed in the middle, and booted from."""

import json

import pytest

from cloud import ROOT, is_open, run, ssh, wait_for

# A guest under emulation, on a machine that does other things as well.
BOOT = 150


@pytest.fixture(scope="module")
def key(real):
    return real.state / "id_ed25519"


def address_of(real, name):
    addresses = [address for net in real.server(name)["addresses"].values() for address in net]
    return next((address for address in addresses if address.startswith("172.24.4.")), None)


def inside(real, name, key):
    """How to run a command in a server that takes logins."""
    if not address_of(real, name):
        floating = real.openstack("floating", "ip", "create", "public", "-f", "value", "-c", "floating_ip_address")
        real.openstack("server", "add", "floating", "ip", name, floating)
    address = wait_for("it has an address", lambda: address_of(real, name), 30)
    wait_for("ssh answers", lambda: is_open(address, 22), BOOT)
    wait_for("the key is in the guest", lambda: ssh(address, key, "true", check=False).returncode == 0, BOOT)
    return lambda command, **kwargs: ssh(address, key, command, **kwargs).stdout.strip()


@pytest.fixture(scope="module")
def first(real, key):
    run(ROOT / "deploy/first-server", real.state, limit=300)
    return inside(real, "first", key)


def left(real):
    return [entry.name for entry in (real.state / "host/snapshots").iterdir()]


def is_settled(real, image):
    return lambda: (
        real.sdk().image.get_image(image).status == "active"
        and real.server("first")["OS-EXT-STS:task_state"] is None
    )


def check(real, image):
    """The image is one sound qcow2 that stands on nothing."""
    file = real.folder / "image.qcow2"
    real.openstack("image", "save", "--file", str(file), image)
    info = json.loads(run("qemu-img", "info", "--output=json", "-f", "qcow2", file).stdout)
    assert info["virtual-size"] == 1 << 30
    assert "backing-filename" not in info
    run("qemu-img", "check", "-q", "-f", "qcow2", file)
    file.unlink()


def test_a_second_server_has_what_the_first_wrote(real, first, key):
    first("echo 'it was here' >kept && sync")
    shown = real.openstack("server", "image", "create", "--name", "copy", "--wait", "first", "-f", "json")
    assert shown["status"] == "active"
    assert shown["properties"]["image_type"] == "snapshot"
    assert shown["properties"]["instance_uuid"] == real.server("first")["id"]
    # The guest goes on.
    assert first("cat kept") == "it was here"
    check(real, "copy")
    wait_for("nothing is left on the host", lambda: left(real) == [], 30)
    shape = ("--flavor", "m1.nano", "--network", "demo-net", "--security-group", "demo-ssh", "--key-name", "demo")
    real.openstack("server", "create", "--image", "copy", *shape, "--wait", "second")
    second = inside(real, "second", key)
    assert second("cat kept") == "it was here"
    real.openstack("server", "delete", "--wait", "second")


def test_killed_in_the_middle_it_is_made_all_the_same(real, first):
    first("dd if=/dev/urandom of=much bs=1M count=150 && sync", limit=300)
    compute = real.sdk().compute
    server = real.server("first")["id"]
    for number, state in enumerate(("image_pending_upload", "image_uploading")):
        image = compute.create_server_image(server, f"killed-{number}")
        states = ("image_pending_upload", "image_uploading")[number:]
        wait_for(f"it is in {state}", lambda: compute.get_server(server).task_state in states, 60, 0.02)
        real.kill()
        real.up()
        wait_for("it is made", is_settled(real, image.id), 300, 1)
        check(real, image.id)
    assert first("cat kept") == "it was here"
    wait_for("nothing is left on the host", lambda: left(real) == [], 30)
    assert real.fsck() == []


def test_of_a_server_that_is_off_an_image_is_made_too(real, first, key):
    real.openstack("server", "stop", "first")
    wait_for("it is off", lambda: real.server("first")["status"] == "SHUTOFF", 120, 1)
    real.openstack("server", "image", "create", "--name", "off", "--wait", "first")
    check(real, "off")
    assert real.server("first")["status"] == "SHUTOFF"


def test_a_server_that_goes_meanwhile_takes_the_image_along(real, first):
    compute = real.sdk().compute
    real.openstack("server", "start", "first")
    wait_for("it runs", lambda: real.server("first")["status"] == "ACTIVE", 60, 1)
    server = real.server("first")["id"]
    image = compute.create_server_image(server, "gone")
    wait_for("it is read", lambda: (compute.get_server(server).task_state or "").startswith("image_p"), 60, 0.02)
    real.openstack("server", "delete", "--wait", "first")
    images = real.sdk().image
    wait_for("the image is gone", lambda: image.id not in {one.id for one in images.images()}, 60)
    wait_for("nothing is left on the host", lambda: left(real) == [], 30)
    assert real.fsck() == []
