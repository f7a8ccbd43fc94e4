"""The clouds of the tests. Each ends with its module, whatever happens in it."""

import contextlib
import os
import shutil
import tempfile

import pytest

from cloud import IMAGE, VENV, Cloud, run

LIST = ("-f", "value", "-c", "Name")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows the end of its cloud's log."""
    outcome = yield
    report = outcome.get_result()
    clouds = [value for value in item.funcargs.values() if isinstance(value, Cloud)]
    if report.when == "call" and report.failed:
        for cloud in clouds:
            report.sections.append(("log of the cloud", "\n".join(cloud.log().splitlines()[-60:])))


def make(port, simulate=None, config=""):
    folder = tempfile.mkdtemp(prefix="nephos-e2e-", dir="/tmp")
    os.chmod(folder, 0o755)  # QEMU's user passes through
    return Cloud(folder, port, simulate, config)


@contextlib.contextmanager
def on_libvirt(config="", prepare=None):
    """A cloud on libvirt, filled as `make up` does it; `prepare` finds its state directory before it first starts."""
    cloud = make(8774, config=config)
    try:
        if prepare:
            prepare(cloud)
        cloud.up()
        (cloud.state / "venv").symlink_to(VENV)
        (cloud.state / "guest-image").mkdir()
        (cloud.state / "guest-image" / IMAGE.name).symlink_to(IMAGE)
        yield cloud
    finally:
        cloud.clean()


@pytest.fixture(scope="module")
def real():
    with on_libvirt() as cloud:
        yield cloud


@pytest.fixture(scope="module")
def simulated():
    """A cloud of four simulated hosts, with an image, a flavor and a network for everybody."""
    cloud = make(8775, simulate=4)
    try:
        cloud.up()
        furnish(cloud)
        yield cloud
    finally:
        cloud.clean()


@pytest.fixture(scope="module")
def objects():
    """A cloud whose object service speaks S3 too, with a store of 300 MiB."""
    cloud = make(8777, simulate=1, config="[object]\ns3_listen = '127.0.0.1:8778'\n")
    store = cloud.state / "objects"
    store.mkdir(parents=True)
    run("mount", "-t", "tmpfs", "-o", "size=300m", "tmpfs", store)
    try:
        cloud.up()
        yield cloud
    finally:
        cloud.nephos("down", "--clean", check=False)
        run("umount", "-l", store, check=False)
        cloud.clean()


def furnish(cloud):
    image = cloud.folder / "image"
    image.write_bytes(b"not much of an image" * 100)
    admin = cloud.sdk("nephos-admin")
    admin.compute.create_flavor(name="tiny", ram=64, vcpus=1, disk=1)
    admin.create_image("image", filename=str(image), disk_format="raw", container_format="bare", visibility="public", wait=True)
    demo = cloud.sdk("nephos")
    network = demo.network.create_network(name="net")
    demo.network.create_subnet(network_id=network.id, ip_version=4, cidr="10.0.0.0/16", name="subnet")
    admin.set_compute_quotas("demo", instances=5000, cores=10000, ram=10_000_000, key_pairs=1000)
    admin.set_network_quotas("demo", port=5000)


@pytest.fixture(autouse=True)
def nothing_on_the_machine():
    """These tests only ever run where they can do no harm."""
    assert run("hostname").stdout.strip() == "nephos-test", "run them by tests/e2e/run"
    assert shutil.which("ip"), "iproute2 is missing"


def pytest_configure(config):
    config.addinivalue_line("markers", "cluster: of the cluster of several processes and three hosts, a step of its own")
