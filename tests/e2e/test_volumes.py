"""Volumes by the ordinary client, by iSCSI, and what is left of them."""

import os
import shutil
import signal

import pytest

from cloud import run, wait_for


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


@pytest.fixture(scope="module")
def exporting():
    from conftest import make

    if not shutil.which("tgtd"):
        pytest.fail("tgt is missing: deploy/setup host")
    cloud = make(8781, simulate=1, config="[block]\niscsi_listen = '127.0.0.1:3260'\n")
    try:
        cloud.up()
        yield cloud
    finally:
        cloud.clean()
        assert daemon() is None, "tgtd is left"


def daemon():
    found = run("pgrep", "-x", "tgtd", check=False).stdout.split()
    return int(found[0]) if found else None


def targets(cloud):
    env = dict(os.environ, TGT_IPC_SOCKET=str(cloud.state / "volumes" / "tgt"))
    return run("tgtadm", "--op", "show", "--mode", "target", check=False, env=env).stdout


def test_a_target_comes_back_after_its_daemon_was_killed(exporting):
    cloud = exporting
    demo = cloud.sdk()
    made = demo.block_storage.create_volume(name="far", size=1)
    ready(cloud, made.id)
    token, project = demo.auth_token, demo.current_project_id
    connector = {"host": "elsewhere", "initiator": "iqn.1993-08.org.debian:01:x", "ip": "127.0.0.1"}
    body = {"attachment": {"volume_uuid": made.id, "instance_uuid": made.id, "connector": connector}}
    import json
    import urllib.request

    def call(method, path, body=None):
        headers = {"X-Auth-Token": token, "Content-Type": "application/json", "OpenStack-API-Version": "volume 3.60"}
        data = json.dumps(body).encode() if body else None
        request = urllib.request.Request(f"{cloud.url}/volume/v3/{project}{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())

    attachment = call("POST", "/attachments", body)["attachment"]
    info = attachment["connection_info"]
    assert info["driver_volume_type"] == "iscsi", info
    data = info["data"]
    assert data["target_portal"] == "127.0.0.1:3260" and data["auth_method"] == "CHAP"
    shown = targets(cloud)
    assert data["target_iqn"] in shown and data["auth_username"] in shown
    assert data["auth_password"] not in cloud.log()
    os.kill(daemon(), signal.SIGKILL)
    wait_for("the target is back", lambda: data["target_iqn"] in targets(cloud) and "ALL" in targets(cloud), 20)
    call("DELETE", f"/attachments/{attachment['id']}")
    wait_for("the target is gone", lambda: data["target_iqn"] not in targets(cloud), 20)
    demo.block_storage.delete_volume(made.id)
    wait_for("all are gone", lambda: not list(demo.block_storage.volumes()))
    assert cloud.fsck() == []
    # What a process that is away cannot tidy is found, and gone when it is back.
    cloud.kill()
    env = dict(os.environ, TGT_IPC_SOCKET=str(cloud.state / "volumes" / "tgt"))
    stray = "iqn.2026-01.org.nephos:stray"
    run("tgtadm", "--lld", "iscsi", "--op", "new", "--mode", "target", "--tid", "77", "-T", stray, env=env)
    [finding] = cloud.fsck()
    assert finding["id"] == stray and "no attachment has" in finding["what"]
    cloud.up()
    wait_for("the stray target is gone", lambda: stray not in targets(cloud), 20)
    assert cloud.fsck() == []
