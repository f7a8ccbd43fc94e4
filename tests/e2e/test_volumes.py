"""Volumes by the ordinary client, and what is left of them."""

import pytest

from cloud import wait_for


@pytest.fixture(scope="module")
def volumes():
    from conftest import furnish, make

    cloud = make(8779, simulate=1)
    try:
        cloud.up()
        furnish(cloud)
        yield cloud
    finally:
        cloud.clean()


def files(cloud):
    return sorted(path.name for path in (cloud.state / "volumes" / "local").iterdir())


def volume(cloud, name):
    return cloud.openstack("volume", "show", name, "-f", "json")


def ready(cloud, name, status="available"):
    return wait_for(f"{name} is {status}", lambda: volume(cloud, name)["status"] == status, 30)


def test_the_client_makes_changes_and_deletes_volumes_and_nothing_is_left(volumes):
    cloud = volumes
    assert files(cloud) == []
    cloud.openstack("volume", "create", "--size", "1", "--property", "a=b", "data")
    ready(cloud, "data")
    cloud.openstack("volume", "snapshot", "create", "--volume", "data", "monday")
    wait_for(
        "the snapshot is available",
        lambda: cloud.openstack("volume", "snapshot", "show", "monday", "-f", "value", "-c", "status") == "available",
    )
    cloud.openstack("volume", "create", "--snapshot", "monday", "--size", "2", "copy")
    cloud.openstack("volume", "create", "--source", "data", "clone")
    cloud.openstack("volume", "create", "--image", "image", "--size", "1", "root")
    for name in ("copy", "clone", "root"):
        ready(cloud, name)
    shown = volume(cloud, "root")
    assert shown["bootable"] in (True, "true")
    assert shown["volume_image_metadata"]["image_name"] == "image"
    assert volume(cloud, "copy")["size"] == 2
    cloud.openstack("volume", "set", "--size", "3", "copy")
    ready(cloud, "copy")
    assert volume(cloud, "copy")["size"] == 3
    assert cloud.fsck() == []
    refused = cloud.openstack("volume", "delete", "data", check=False)
    assert refused.returncode != 0 and "dependent snapshots" in refused.stderr
    cloud.openstack("volume", "snapshot", "delete", "monday")
    cloud.openstack("volume", "delete", "--purge", "data", "copy", "clone", "root")
    wait_for("all are gone", lambda: cloud.openstack("volume", "list", "-f", "json") == [])
    # The bytes of an image are kept for the next volume of it.
    wait_for("their files are gone", lambda: len(files(cloud)) <= 1, 20)
    assert cloud.fsck() == []


def test_killed_while_many_volumes_are_made_all_are_made(volumes):
    cloud = volumes
    demo = cloud.sdk()
    made = [demo.block_storage.create_volume(name=f"v{number}", size=1) for number in range(5)]
    cloud.kill()
    cloud.up()
    for one in made:
        ready(cloud, one.id)
    demo = cloud.sdk()
    for one in made:
        demo.block_storage.delete_volume(one.id)
    wait_for("all are gone", lambda: not list(demo.block_storage.volumes()))
    assert cloud.fsck() == []
