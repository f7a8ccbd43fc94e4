"""Packages for Debian: what is in them, and that it can be made again."""

import shutil
import subprocess

import pytest

from cloud import ROOT, run


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """Both, unpacked; any program will do."""
    folder = tmp_path_factory.mktemp("packages")
    unpacked = {}
    for package in run(ROOT / "deploy/package", shutil.which("true"), folder).stdout.split():
        name = run("dpkg-deb", "--field", package, "Package").stdout.strip()
        unpacked[name] = folder / name
        run("dpkg-deb", "--raw-extract", package, folder / name)
    return unpacked


def test_the_program_its_units_and_its_configuration_are_in_it(packages):
    root = packages["nephos"]
    assert (root / "usr/bin/nephos").stat().st_mode & 0o777 == 0o755
    assert (root / "DEBIAN/conffiles").read_text().split() == ["/etc/nephos/nephos.toml"]
    units = {unit.name for package in packages.values() for unit in (package / "usr/lib/systemd/system").iterdir()}
    assert units == {unit.name for unit in (ROOT / "deploy/systemd").iterdir()}
    assert (root / "usr/share/doc/nephos/operator.md").exists()
    checked = run(ROOT / "target/debug/nephos", "--config", root / "etc/nephos/nephos.toml", "config", "check", check=False)
    assert checked.returncode == 0, checked


def test_a_host_has_the_same_version_and_brings_what_its_guests_need(packages):
    control = (packages["nephos-host"] / "DEBIAN/control").read_text()
    version = next(line.split()[1] for line in control.splitlines() if line.startswith("Version:"))
    assert f"nephos (= {version})" in control and "@" not in control.replace("maintainers@", "")
    listed = (ROOT / "deploy/debian-packages.txt").read_text()
    for name in ("libvirt-daemon-system", "qemu-system-x86", "qemu-block-extra", "nftables", "iproute2", "haproxy"):
        assert name in control and f"host {name}" in listed


@pytest.mark.parametrize("script", ["nephos.postinst", "nephos.prerm", "nephos.postrm", "nephos-host.postinst", "nephos-host.prerm", "nephos-host.postrm"])
def test_scripts_are_in_order(script):
    run("sh", "-n", ROOT / "deploy/debian" / script)


def test_no_unit_stays_down_because_what_it_needs_was_away_for_a_while():
    for unit in (ROOT / "deploy/systemd").glob("*.service"):
        lines = unit.read_text().splitlines()
        assert "Restart=always" in lines and "StartLimitIntervalSec=0" in lines, unit.name


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="this machine has no systemd-analyze")
def test_units_are_what_systemd_understands(tmp_path):
    for unit in (ROOT / "deploy/systemd").iterdir():
        text = unit.read_text().replace("/usr/bin/nephos", shutil.which("true"))
        (tmp_path / unit.name.replace("@", "@compute")).write_text(text)
    units = sorted(map(str, tmp_path.iterdir()))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
