"""Volumes in real guests: plugged in and out while they run, grown, booted from, and gone with their server."""

import pytest

from cloud import ROOT, is_open, run, ssh, wait_for
from conftest import on_libvirt
from written import check_written, write_while

# A guest under emulation, on a machine that does other things as well.
BOOT = 150


@pytest.fixture(scope="module")
def real():
    """With two back ends: files on the usual file system, and on one whose files can share blocks."""
    mounted = []

    def prepare(cloud):
        image, place = cloud.folder / "sharing.xfs", cloud.state / "volumes" / "sharing"
        place.mkdir(parents=True)
        run("truncate", "-s", "4G", image)
        run("mkfs.xfs", "-q", image)
        run("mount", "-o", "loop", image, place)
        mounted.append(place)

    try:
        with on_libvirt("[block]\nbackends = ['local', 'sharing']\n", prepare) as cloud:
            yield cloud
            cloud.nephos("down", "--clean", check=False)
            run("umount", "-l", mounted.pop())
    finally:
        for place in mounted:
            run("umount", "-l", place, check=False)


@pytest.fixture(scope="module")
def guest(real):
    """A server that takes logins: its id and how to run a command in it."""
    run(ROOT / "deploy/first-server", real.state, limit=300)
    server = real.server("first")
    addresses = [address for net in server["addresses"].values() for address in net]
    [floating] = [address for address in addresses if address.startswith("172.24.4.")]
    key = real.state / "id_ed25519"
    wait_for("ssh answers", lambda: is_open(floating, 22), BOOT)
    wait_for("the key is in the guest", lambda: ssh(floating, key, "true", check=False).returncode == 0, BOOT)
    # Hot plugging needs the guest's drivers, which are there once its console asks for a login.
    wait_for("it is up", lambda: "login:" in real.openstack("console", "log", "show", "first"), BOOT, pause=2)
    return server["id"], lambda command, **kwargs: ssh(floating, key, command, **kwargs).stdout.strip()


@pytest.fixture(scope="module")
def volumes(real):
    return real.sdk("nephos").block_storage


def is_in(volumes, volume, status):
    return lambda: volumes.get_volume(volume).status == status


def new(volumes, size=1, **more):
    volume = volumes.create_volume(size=size, **more)
    wait_for("the volume is there", is_in(volumes, volume, "available"), 60)
    return volume


def events(compute, server, action):
    found = next(one for one in compute.server_actions(server) if one.action == action)
    return compute.get_server_action(found.request_id, server).events


@pytest.fixture(scope="module")
def attached(real, guest, volumes):
    server, inside = guest
    volume = new(volumes, name="data")
    real.openstack("server", "add", "volume", server, volume.id)
    wait_for("it is in use", is_in(volumes, volume, "in-use"), 60)
    wait_for("the guest sees it", lambda: "vdb" in inside("lsblk -dn -o NAME"), 30)
    return volume


def test_a_volume_is_plugged_into_a_running_guest_and_keeps_what_is_written(real, guest, volumes, attached):
    server, inside = guest
    assert inside("lsblk -bdn -o SIZE /dev/vdb") == str(1 << 30)
    inside("dd if=/dev/urandom of=/tmp/data bs=1M count=4 && sudo dd if=/tmp/data of=/dev/vdb bs=1M conv=fsync")
    written = inside("md5sum </tmp/data")
    listed = real.openstack("server", "volume", "list", server, "-f", "json")
    assert [(one["Volume ID"], one["Device"]) for one in listed] == [(attached.id, "/dev/vdb")]
    real.openstack("server", "remove", "volume", server, attached.id)
    wait_for("it is free", is_in(volumes, attached, "available"), 120)
    assert "vdb" not in inside("lsblk -dn -o NAME")
    real.openstack("server", "add", "volume", server, attached.id)
    wait_for("the guest sees it again", lambda: "vdb" in inside("lsblk -dn -o NAME"), 60)
    assert inside("sudo head -c 4194304 /dev/vdb | md5sum") == written


def test_a_volume_grows_while_the_guest_has_it(guest, volumes, attached):
    _, inside = guest
    wait_for("it is in use", is_in(volumes, attached, "in-use"), 60)
    volumes.extend_volume(attached, 2)
    wait_for("the guest sees it grown", lambda: inside("lsblk -bdn -o SIZE /dev/vdb") == str(2 << 30), 60)
    wait_for("it is in use again", is_in(volumes, attached, "in-use"), 60)


def test_the_hypervisor_keeps_to_the_limits_of_a_volumes_type(real, guest, volumes):
    server, inside = guest
    limits = ("--property", "total_iops_sec=500", "--property", "read_bytes_sec_per_gb=1048576")
    real.admin("volume", "qos", "create", "--consumer", "front-end", *limits, "slow")
    real.admin("volume", "type", "create", "slow")
    real.admin("volume", "qos", "associate", "slow", "slow")
    volume = new(volumes, size=2, name="slow", volume_type="slow")
    real.openstack("server", "add", "volume", server, volume.id)
    wait_for("it is in use", is_in(volumes, volume, "in-use"), 60)
    listed = real.openstack("server", "volume", "list", server, "-f", "json")
    [device] = [one["Device"] for one in listed if one["Volume ID"] == volume.id]
    wait_for("the guest sees it", lambda: device.removeprefix("/dev/") in inside("lsblk -dn -o NAME"), 30)
    # What QEMU itself has set.
    command = ("virsh", "-c", real.libvirt_uri(), "blkdeviotune", server, device.removeprefix("/dev/"))
    has = dict(line.split(":") for line in run(*command).stdout.split("\n") if ":" in line)
    has = {name.strip(): int(value) for name, value in has.items() if value.strip().isdigit()}
    assert (has["total_iops_sec"], has["read_bytes_sec"], has["write_bytes_sec"]) == (500, 2 << 20, 0)
    real.openstack("server", "remove", "volume", server, volume.id)
    wait_for("it is free", is_in(volumes, volume, "available"), 120)
    volumes.delete_volume(volume)


def test_an_encrypted_volume_shows_its_guest_everything_and_its_back_end_nothing(real, guest, volumes):
    server, inside = guest
    how = ("--encryption-provider", "luks", "--encryption-control-location", "front-end")
    how += ("--encryption-cipher", "aes-xts-plain64", "--encryption-key-size", "256")
    real.admin("volume", "type", "create", *how, "--property", "volume_backend_name=sharing", "closed")
    volume = new(volumes, name="closed", volume_type="closed")
    assert volumes.get_volume(volume).is_encrypted
    file = real.state / "volumes" / "sharing" / f"volume-{volume.id}"

    def attach(volume):
        real.openstack("server", "add", "volume", server, volume.id)
        wait_for("it is in use", is_in(volumes, volume, "in-use"), 60)
        listed = real.openstack("server", "volume", "list", server, "-f", "json")
        [device] = [one["Device"] for one in listed if one["Volume ID"] == volume.id]
        wait_for("the guest sees it", lambda: device.removeprefix("/dev/") in inside("lsblk -dn -o NAME"), 30)
        return device

    def detach(volume):
        real.openstack("server", "remove", "volume", server, volume.id)
        wait_for("it is free", is_in(volumes, volume, "available"), 120)

    device = attach(volume)
    words = "words that nobody else reads"
    inside(f"yes '{words}' | head -c 1048576 >/tmp/words && sudo dd if=/tmp/words of={device} bs=1M conv=fsync")
    volumes.extend_volume(volume, 2)
    name = device.removeprefix("/dev/")
    wait_for("the guest sees it grown", lambda: inside(f"lsblk -bdn -o SIZE {device}") == str(2 << 30), 60)
    inside(f"sudo dd if=/tmp/words of={device} bs=1M seek=2047 conv=fsync")
    wait_for("it is in use again", is_in(volumes, volume, "in-use"), 60)
    snapshot = volumes.create_snapshot(volume_id=volume.id, name="closed", is_forced=True)
    wait_for("the snapshot is there", lambda: volumes.get_snapshot(snapshot).status == "available", 60)
    with file.open("rb") as opened:
        assert opened.read(6) == b"LUKS\xba\xbe"
    assert run("grep", "-aqF", words, file, check=False).returncode == 1, "the words are in the file"
    # What opens it is nowhere but in QEMU.
    assert "passphrase" not in run("virsh", "-c", real.libvirt_uri(), "secret-list").stdout
    assert "nephos-key" not in run("virsh", "-c", real.libvirt_uri(), "secret-list").stdout

    real.openstack("server", "stop", server)
    wait_for("it is off", lambda: real.server(server)["status"] == "SHUTOFF", 120, pause=1)
    real.openstack("server", "start", server)
    wait_for("it is on", lambda: real.server(server)["status"] == "ACTIVE", 60, pause=1)
    wait_for("it is there", lambda: name in inside("lsblk -dn -o NAME", check=False), BOOT, pause=2)
    count = f"sudo head -c 1048576 {device} | grep -c '{words}'"
    assert int(inside(count)) > 30000
    assert int(inside(f"sudo tail -c 1048576 {device} | grep -c '{words}'")) > 30000
    detach(volume)
    copy = new(volumes, size=2, snapshot_id=snapshot.id, name="copy of closed")
    for one in (volume, copy):
        device = attach(one)
        assert int(inside(f"sudo head -c 1048576 {device} | grep -c '{words}'")) > 30000
        detach(one)
    volumes.delete_volume(copy)
    volumes.delete_snapshot(snapshot)
    wait_for("the snapshot is gone", lambda: not list(volumes.snapshots(volume_id=volume.id)), 60)
    volumes.delete_volume(volume)


def test_a_server_that_was_off_has_its_volume_when_it_starts(real, guest, volumes, attached):
    server, inside = guest
    real.openstack("server", "stop", server)
    wait_for("it is off", lambda: real.server(server)["status"] == "SHUTOFF", 120, pause=1)
    second = new(volumes, name="second")
    real.openstack("server", "add", "volume", server, second.id)
    wait_for("it is in use", is_in(volumes, second, "in-use"), 60)
    assert real.server(server)["status"] == "SHUTOFF"
    real.openstack("server", "start", server)
    wait_for("it is on", lambda: real.server(server)["status"] == "ACTIVE", 60, pause=1)

    def disks():
        return inside("lsblk -dn -o NAME", check=False)

    wait_for("both volumes are there", lambda: "vdb" in disks() and "vdc" in disks(), BOOT, pause=2)


@pytest.fixture(scope="module")
def rooted(real, guest, volumes):
    """A server that boots from a volume which goes with it: server, volume, and how to run a command in it."""
    compute = real.sdk("nephos").compute
    image = real.openstack("image", "show", "nephos-guest", "-f", "json")["id"]
    flavor = real.openstack("flavor", "show", "m1.nano", "-f", "json")["id"]
    network = real.openstack("network", "show", "demo-net", "-f", "json")["id"]
    root = {
        "source_type": "image", "destination_type": "volume", "boot_index": 0, "uuid": image, "volume_size": 1,
        "delete_on_termination": True,
    }
    server = compute.create_server(
        name="rooted", flavor_id=flavor, networks=[{"uuid": network}], block_device_mapping=[root], key_name="demo",
        security_groups=[{"name": "demo-ssh"}],
    )
    server = compute.wait_for_server(server, wait=BOOT)
    [of_it] = server.attached_volumes
    assert volumes.get_volume(of_it["id"]).status == "in-use"
    assert not (server.image or {}).get("id")
    address = real.openstack("floating", "ip", "create", "public", "-f", "value", "-c", "floating_ip_address")
    real.openstack("server", "add", "floating", "ip", "rooted", address)
    key = real.state / "id_ed25519"
    wait_for("it boots from its volume", lambda: "login:" in real.openstack("console", "log", "show", "rooted"), BOOT, 2)
    wait_for("its key is there", lambda: ssh(address, key, "true", check=False).returncode == 0, BOOT)
    return server.id, of_it["id"], lambda command, **kwargs: ssh(address, key, command, **kwargs).stdout.strip()


def restored(real, volumes, backup, name):
    """A new volume of that name, made of the backup."""
    answer = real.openstack("volume", "backup", "restore", backup, name, "-f", "json")
    volume = volumes.get_volume(answer["volume_id"])
    wait_for("it is back", is_in(volumes, volume, "available"), 120)
    assert real.openstack("volume", "backup", "show", backup, "-f", "json")["status"] == "available"
    return volume


def back_up(real, volume, name, *more):
    """A backup of the volume, made: what the client shows of it."""
    real.openstack("volume", "backup", "create", "--name", name, *more, volume.id)

    def shown():
        return real.openstack("volume", "backup", "show", name, "-f", "json")

    wait_for("the backup is there", lambda: shown()["status"] in ("available", "error"), 120, pause=1)
    assert shown()["status"] == "available", shown()["fail_reason"]
    return shown()


def test_what_is_written_in_one_guest_is_the_same_in_another_after_growth_snapshot_copy_and_backup(
    real, guest, volumes, rooted
):
    first, inside = guest
    server, _, writer = rooted
    volume = new(volumes, name="travels")
    real.openstack("server", "add", "volume", server, volume.id)
    wait_for("it is in use", is_in(volumes, volume, "in-use"), 60)
    wait_for("the guest sees it", lambda: "vdb" in writer("lsblk -dn -o NAME"), 30)
    writer("dd if=/dev/urandom of=/tmp/data bs=1M count=8 && sudo dd if=/tmp/data of=/dev/vdb bs=1M conv=fsync")
    written = writer("md5sum </tmp/data")
    real.openstack("server", "remove", "volume", server, volume.id)
    wait_for("it is free", is_in(volumes, volume, "available"), 120)
    volumes.extend_volume(volume, 2)
    wait_for("it is larger", lambda: volumes.get_volume(volume).size == 2 and is_in(volumes, volume, "available")(), 60)
    snapshot = volumes.create_snapshot(volume_id=volume.id, name="then")
    wait_for("the snapshot is there", lambda: volumes.get_snapshot(snapshot).status == "available", 60)
    # What is written afterwards is not in the snapshot.
    real.openstack("server", "add", "volume", server, volume.id)
    wait_for("it is in use", is_in(volumes, volume, "in-use"), 60)
    wait_for("the guest sees it grown", lambda: writer("lsblk -bdn -o SIZE /dev/vdb", check=False) == str(2 << 30), 30)
    assert writer("sudo head -c 8388608 /dev/vdb | md5sum") == written
    writer("sudo dd if=/dev/zero of=/dev/vdb bs=1M count=8 conv=fsync")
    real.openstack("server", "remove", "volume", server, volume.id)
    wait_for("it is free", is_in(volumes, volume, "available"), 120)
    of_snapshot = new(volumes, size=3, snapshot_id=snapshot.id, name="of-snapshot")
    full = back_up(real, of_snapshot, "full")
    # Zeroes are nowhere: the few MiB that were written are all that is stored.
    assert full["size"] == 3 and full["object_count"] < 10 and not full["is_incremental"]
    delta = back_up(real, of_snapshot, "delta", "--incremental")
    assert delta["is_incremental"] and delta["object_count"] == 0
    back = restored(real, volumes, "delta", "back")
    copy = new(volumes, size=3, source_volume_id=back.id, name="copy")
    before = set(inside("lsblk -dn -o NAME").split())
    real.openstack("server", "add", "volume", first, copy.id)
    wait_for("it is in use", is_in(volumes, copy, "in-use"), 60)
    news = wait_for("the other guest sees it", lambda: set(inside("lsblk -dn -o NAME").split()) - before, 30)
    device = f"/dev/{news.pop()}"
    assert inside(f"lsblk -bdn -o SIZE {device}") == str(3 << 30)
    assert inside(f"sudo head -c 8388608 {device} | md5sum") == written
    real.openstack("server", "remove", "volume", first, copy.id)
    wait_for("it is free", is_in(volumes, copy, "available"), 120)
    # The bytes are those that were backed up, whatever became of the volume.
    for one in (copy, back, of_snapshot):
        volumes.delete_volume(one)
    refused = real.openstack("volume", "backup", "delete", "full", check=False)
    assert "Incremental backups exist" in str(refused), refused
    for name in ("delta", "full"):
        real.openstack("volume", "backup", "delete", name)
        wait_for("it is gone", lambda: name not in real.openstack("volume", "backup", "list", "-f", "value"), 60, pause=1)
    volumes.delete_snapshot(snapshot)
    wait_for("they are gone", lambda: not list(volumes.snapshots()), 60)
    volumes.delete_volume(volume)
    wait_for("it is gone", lambda: volume.id not in {one.id for one in volumes.volumes()}, 60)
    assert real.fsck() == []


def plug(real, volumes, server, volume, inside):
    """The device by which the guest has it then."""
    before = set(inside("lsblk -dn -o NAME").split())
    real.openstack("server", "add", "volume", server, volume.id)
    wait_for("it is in use", is_in(volumes, volume, "in-use"), 60)
    return "/dev/" + wait_for("the guest sees it", lambda: set(inside("lsblk -dn -o NAME").split()) - before, 30).pop()


def unplug(real, volumes, server, volume):
    real.openstack("server", "remove", "volume", server, volume.id)
    wait_for("it is free", is_in(volumes, volume, "available"), 120)


def test_two_guests_share_a_volume_of_a_type_that_allows_it(real, guest, volumes, rooted):
    (first, inside), (second, _, writer) = guest, rooted
    real.admin("volume", "type", "create", "--property", "multiattach=<is> True", "many")
    volume = new(volumes, name="shared", volume_type="many")
    written = plug(real, volumes, second, volume, writer)
    real.openstack("server", "add", "volume", first, volume.id, "--os-compute-api-version", "2.60")
    wait_for("both have it", lambda: len(volumes.get_volume(volume).attachments) == 2, 60)
    listed = real.openstack("server", "volume", "list", first, "-f", "json")
    [device] = [one["Device"] for one in listed if one["Volume ID"] == volume.id]
    wait_for("the other guest sees it", lambda: device.removeprefix("/dev/") in inside("lsblk -dn -o NAME"), 30)
    writer("dd if=/dev/urandom of=/tmp/shared bs=64k count=4")
    writer(f"sudo dd if=/tmp/shared of={written} bs=64k oflag=direct")
    wanted = writer("md5sum </tmp/shared")
    assert inside(f"sudo dd if={device} bs=64k count=4 iflag=direct 2>/dev/null | md5sum") == wanted
    # Whoever still has it goes on.
    real.openstack("server", "remove", "volume", second, volume.id)
    wait_for("one has it", lambda: len(volumes.get_volume(volume).attachments) == 1, 120)
    assert volumes.get_volume(volume).status == "in-use"
    assert inside(f"sudo dd if={device} bs=64k count=4 iflag=direct 2>/dev/null | md5sum") == wanted
    unplug(real, volumes, first, volume)
    volumes.delete_volume(volume)


def test_a_volume_in_use_is_copied_where_files_share_blocks_and_goes_back_to_its_snapshot(real, guest, volumes, rooted):
    (first, inside), (second, _, writer) = guest, rooted
    real.admin("volume", "type", "create", "--property", "volume_backend_name=sharing", "sharing")
    volume = new(volumes, name="original", volume_type="sharing")
    device = plug(real, volumes, second, volume, writer)
    writer(f"dd if=/dev/urandom of=/tmp/then bs=1M count=4 && sudo dd if=/tmp/then of={device} bs=1M conv=fsync")
    wanted = writer("md5sum </tmp/then")
    snapshot = volumes.create_snapshot(volume_id=volume.id, name="while-in-use", is_forced=True)
    wait_for("the snapshot is there", lambda: volumes.get_snapshot(snapshot).status == "available", 60)
    writer(f"sudo dd if=/dev/zero of={device} bs=1M count=4 conv=fsync")
    unplug(real, volumes, second, volume)
    copy = new(volumes, name="copy-of-it", snapshot_id=snapshot.id)
    device = plug(real, volumes, first, copy, inside)
    assert inside(f"sudo head -c 4194304 {device} | md5sum") == wanted
    unplug(real, volumes, first, copy)
    real.openstack("--os-volume-api-version", "3.40", "volume", "revert", snapshot.id)
    wait_for("it is what it was", is_in(volumes, volume, "available"), 60)
    device = plug(real, volumes, second, volume, writer)
    assert writer(f"sudo head -c 4194304 {device} | md5sum") == wanted
    unplug(real, volumes, second, volume)
    volumes.delete_volume(copy)
    volumes.delete_snapshot(snapshot)
    wait_for("it is gone", lambda: not list(volumes.snapshots()), 60)
    volumes.delete_volume(volume)
    assert real.fsck() == []


def test_a_guest_that_does_not_let_go_keeps_its_volume_until_it_does(real, guest, volumes):
    server, inside = guest
    volume = new(volumes, name="kept")
    device = plug(real, volumes, server, volume, inside)
    # A guest that stands still answers nobody.
    real.openstack("server", "pause", server)
    wait_for("it stands still", lambda: real.server(server)["status"] == "PAUSED", 60, pause=1)
    real.openstack("server", "remove", "volume", server, volume.id)
    compute = real.sdk("nephos-admin").compute

    def result():
        return [one["result"] for one in events(compute, server, "detach_volume")]

    wait_for("the end is said", lambda: result() == ["Error"], 200, pause=1)
    assert volumes.get_volume(volume).status == "in-use"
    real.openstack("server", "unpause", server)
    wait_for("it goes on", lambda: real.server(server)["status"] == "ACTIVE", 120, pause=1)
    wait_for("it has it", lambda: device.removeprefix("/dev/") in inside("lsblk -dn -o NAME"), 60)
    unplug(real, volumes, server, volume)
    assert device.removeprefix("/dev/") not in inside("lsblk -dn -o NAME")
    volumes.delete_volume(volume)
    assert real.fsck() == []


def test_the_process_is_killed_while_a_guest_writes_and_nothing_acknowledged_is_lost(real, volumes, rooted):
    server, _, _ = rooted
    volume = new(volumes, name="killed")
    real.openstack("server", "add", "volume", server, volume.id)
    wait_for("it is in use", is_in(volumes, volume, "in-use"), 60)
    address = next(
        one for net in real.server("rooted")["addresses"].values() for one in net if one.startswith("172.24.4.")
    )

    def disturb():
        real.kill()
        real.up()

    acknowledged = write_while(address, real.state / "id_ed25519", disturb)
    real.openstack("server", "remove", "volume", server, volume.id)
    wait_for("it is free", is_in(volumes, volume, "available"), 120)
    check_written(real, volume, acknowledged)
    volumes.delete_volume(volume)


def test_a_server_goes_with_its_volume(real, volumes, rooted):
    server, volume, _ = rooted
    before = {one.id for one in volumes.volumes()}
    real.openstack("server", "delete", "--wait", server)
    wait_for("its volume is gone", lambda: {one.id for one in volumes.volumes()} <= before - {volume}, 60)


def test_nothing_is_left_when_all_is_deleted(real, guest, volumes, attached):
    server, _ = guest
    real.openstack("server", "delete", "--wait", server)
    wait_for("its volumes are free", is_in(volumes, attached, "available"), 60)
    for volume in list(volumes.volumes()):
        volumes.delete_volume(volume)
    wait_for("the volumes are gone", lambda: not list(volumes.volumes()), 60)
    assert real.fsck() == []
