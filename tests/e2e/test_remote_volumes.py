"""Volumes that a guest reaches over the network, by iSCSI, as from another machine; and the end of what serves them."""

import os
import shutil
import signal

import pytest

from cloud import IMAGE, ROOT, VENV, is_open, run, ssh, wait_for
from written import check_written, write_while

BOOT = 150


@pytest.fixture(scope="module")
def far():
    """A cloud whose own host gets volumes as any other machine would."""
    from conftest import make

    if not shutil.which("tgtd"):
        pytest.fail("tgt is missing: deploy/setup host")
    cloud = make(8783, config="[block]\niscsi_listen = '127.0.0.1:3262'\nlocal_hosts = []\n")
    try:
        cloud.up()
        (cloud.state / "venv").symlink_to(VENV)
        (cloud.state / "guest-image").mkdir()
        (cloud.state / "guest-image" / IMAGE.name).symlink_to(IMAGE)
        run(ROOT / "deploy/first-server", cloud.state, limit=300)
        yield cloud
    finally:
        cloud.clean()
        assert daemons() == [], "tgtd is left"


@pytest.fixture(scope="module")
def guest(far):
    server = far.server("first")
    addresses = [address for net in server["addresses"].values() for address in net]
    [floating] = [address for address in addresses if address.startswith("172.24.4.")]
    key = far.state / "id_ed25519"
    wait_for("ssh answers", lambda: is_open(floating, 22), BOOT)
    wait_for("the key is in the guest", lambda: ssh(floating, key, "true", check=False).returncode == 0, BOOT)
    wait_for("it is up", lambda: "login:" in far.openstack("console", "log", "show", "first"), BOOT, pause=2)
    return server["id"], floating, lambda command, **kwargs: ssh(floating, key, command, **kwargs).stdout.strip()


def daemons():
    return [int(pid) for pid in run("pgrep", "-x", "tgtd", check=False).stdout.split()]


@pytest.fixture(scope="module")
def volume(far, guest):
    volumes = far.sdk("nephos").block_storage
    server, _, inside = guest
    made = volumes.create_volume(size=1, name="far")
    wait_for("it is there", lambda: volumes.get_volume(made).status == "available")
    far.openstack("server", "add", "volume", server, made.id)
    wait_for("it is in use", lambda: volumes.get_volume(made).status == "in-use")
    wait_for("the guest sees it", lambda: "vdb" in inside("lsblk -dn -o NAME"), 30)
    return made


def test_what_opens_a_volume_stands_in_no_log_and_no_definition(far, volume):
    definition = run("virsh", "-c", far.libvirt_uri(), "dumpxml", *far.domains()).stdout
    assert "protocol='iscsi'" in definition
    admin = far.sdk("nephos-admin")
    found = next(iter(admin.block_storage.attachments(volume_id=volume.id, all_projects=True)))
    secret = admin.block_storage.get_attachment(found.id).connection_info["auth_password"]
    assert len(secret) >= 32
    assert secret not in definition and secret not in far.log()


def disturbances(far):
    def daemon_killed():
        [pid] = daemons()
        os.kill(pid, signal.SIGKILL)
        wait_for("another daemon serves", lambda: daemons() not in ([], [pid]), 30)

    def process_killed():
        far.kill()
        far.up()

    def both_killed():
        [pid] = daemons()
        far.kill()
        os.kill(pid, signal.SIGKILL)
        far.up()

    return [daemon_killed, process_killed, both_killed]


@pytest.mark.parametrize("which", [0, 1, 2], ids=["target", "process", "both"])
def test_killed_while_a_guest_writes_nothing_acknowledged_is_lost(far, guest, volume, which):
    _, address, inside = guest
    # Other bytes than the last time.
    inside("sudo dd if=/dev/zero of=/dev/vdb bs=1M count=1 conv=fsync")
    acknowledged = write_while(address, far.state / "id_ed25519", disturbances(far)[which])
    check_written(far, volume, acknowledged)


def test_a_volume_over_the_network_is_taken_out_and_its_target_is_gone(far, guest, volume):
    server, _, inside = guest
    volumes = far.sdk("nephos").block_storage
    far.openstack("server", "remove", "volume", server, volume.id)
    wait_for("it is free", lambda: volumes.get_volume(volume).status == "available", 120)
    assert "vdb" not in inside("lsblk -dn -o NAME")
    env = dict(os.environ, TGT_IPC_SOCKET=str(far.state / "volumes" / "tgt"))
    targets = lambda: run("tgtadm", "--op", "show", "--mode", "target", env=env).stdout  # noqa: E731
    wait_for("its target is gone", lambda: "org.nephos" not in targets(), 20)
    volumes.delete_volume(volume)
    wait_for("it is gone", lambda: not list(volumes.volumes()))
    assert far.fsck() == []
