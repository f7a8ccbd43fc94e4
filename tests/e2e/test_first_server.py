"""A cloud from nothing, used by its ordinary user: real guests, their network, their console; and nothing is left."""

import http.server
import json
import os
import signal
import socket
import threading
import time
from urllib.parse import parse_qs

import pytest

from cloud import IMAGE, ROOT, is_open, run, ssh, wait_for
from websocket import WebSocket

# A guest under emulation, on a machine that does other things as well.
BOOT = 150


@pytest.fixture(scope="module")
def before(real):
    """What the host looked like when nobody had anything yet."""
    wait_for("the host is furnished", lambda: is_furnished(real.host()), 30)
    return real.host()


def is_furnished(host):
    return "nx-public" in host["links"] and "nephos" in host["rules"]


@pytest.fixture(scope="module")
def said(real, before):
    """What deploy/first-server prints."""
    return run(ROOT / "deploy/first-server", real.state, limit=300).stdout


@pytest.fixture(scope="module")
def first(real, said):
    """The first server and the address it is reached at."""
    server = real.server("first")
    addresses = [address for net in server["addresses"].values() for address in net]
    [floating] = [address for address in addresses if address.startswith("172.24.4.")]
    [fixed] = [address for address in addresses if address.startswith("10.20.0.")]
    return {"id": server["id"], "floating": floating, "fixed": fixed}


@pytest.fixture(scope="module")
def key(real, first):
    key = real.state / "id_ed25519"
    wait_for("ssh answers", lambda: is_open(first["floating"], 22), BOOT)
    wait_for("the key is in the guest", lambda: ssh(first["floating"], key, "true", check=False).returncode == 0, BOOT)
    return key


@pytest.fixture(scope="module")
def second(real, first, key):
    """A second server in the same network, with a config drive and no way in but from its own group."""
    real.openstack(
        "server", "create", "--image", "nephos-guest", "--flavor", "m1.nano", "--network", "demo-net",
        "--security-group", "default", "--key-name", "demo", "--config-drive", "true", "--wait", "second",
    )
    server = real.server("second")
    [fixed] = [address for net in server["addresses"].values() for address in net]
    return {"id": server["id"], "fixed": fixed}


def test_the_end_of_the_first_start_says_everything_that_is_needed(real, said):
    for part in (f"{real.url}/identity/v3", str(real.state / "clouds.yaml"), "172.24.4.", "ssh -i "):
        assert part in said


def test_doing_it_again_changes_nothing(real, first):
    real.up()
    run(ROOT / "deploy/first-server", real.state, limit=300)
    assert real.server("first")["id"] == first["id"]
    servers = real.openstack("server", "list", "-f", "json")
    assert [server["Name"] for server in servers] == ["first"]


def test_the_console_has_a_login_prompt_and_what_the_user_data_said(real, first):
    def both():
        log = real.openstack("console", "log", "show", "first")
        return "login:" in log and "user data ran on first" in log

    wait_for("the console log is complete", both, BOOT, pause=2)


def test_one_can_type_into_the_serial_console_and_log_in(real, first):
    link = real.openstack("console", "url", "show", "--serial", "first", "-f", "json")["url"]
    console = WebSocket(link, BOOT)
    assert console.status == 101
    console.send(b"\r")
    console.until(b"login:")
    console.send(b"cirros\r")
    console.until(b"assword:")
    console.send(b"gocubsgo\r")
    console.until(b"$ ")
    console.send(b"echo $((6*7))-typed\r")
    console.until(b"42-typed")
    console.send(b"exit\r")
    console.close()
    # A link is good once.
    assert WebSocket(link).status == 401


def test_the_screen_answers_as_vnc(real, first):
    link = real.openstack("console", "url", "show", "--novnc", "first", "-f", "json")["url"]
    page, query = link.split("?", 1)
    path = parse_qs(query)["path"][0]
    screen = WebSocket(f"{page.split('/dashboard/')[0]}/{path}", BOOT)
    assert screen.status == 101
    assert screen.until(b"\n").startswith(b"RFB 003.")
    screen.send(b"RFB 003.008\n")
    assert screen.receive()[:1] >= b"\x01", "it offers a way in"
    screen.close()


def test_the_guest_is_what_was_asked_for(first, key):
    inside = ssh(first["floating"], key, "hostname; cat .ssh/authorized_keys; df -m / | tail -1").stdout
    assert inside.splitlines()[0] == "first"
    assert key.with_suffix(".pub").read_text().split()[1] in inside
    assert int(inside.split()[-5]) > 800, f"the root file system did not grow: {inside}"


def test_metadata_tells_the_asking_server_about_itself(real, first, second, key):
    uuid = "wget -q -O - http://169.254.169.254/openstack/latest/meta_data.json"
    told = json.loads(ssh(first["floating"], key, uuid).stdout)
    assert told["uuid"] == first["id"]
    forged = f"wget -q -O - --header 'X-Instance-ID: {second['id']}' http://169.254.169.254/openstack/latest/meta_data.json"
    answer = ssh(first["floating"], key, forged, check=False)
    assert second["id"] not in answer.stdout, "a guest read another's metadata"


def test_servers_of_one_network_reach_each_other(real, first, second, key):
    group = real.openstack("security", "group", "show", "default", "-f", "json")["id"]
    real.openstack("security", "group", "rule", "create", "--protocol", "icmp", "--remote-ip", "10.20.0.0/24", group)
    ping = f"ping -c 1 -W 2 {second['fixed']}"
    wait_for("the second server answers", lambda: ssh(first["floating"], key, ping, check=False).returncode == 0, BOOT)


def talks(address, port):
    """A connection on which something was said."""
    try:
        connection = socket.create_connection((address, port), timeout=1)
        return connection if connection.recv(1) else None
    except OSError:
        return None


def falls_silent(connection, limit):
    """Whether, within `limit` seconds, nothing is said for one second."""
    end = time.monotonic() + limit
    connection.settimeout(1)
    with connection:
        while time.monotonic() < end:
            try:
                if not connection.recv(4096):
                    return True
            except TimeoutError:
                return True
    return False


def test_a_port_outside_the_security_group_is_closed_and_an_open_one_closes_at_once(real, first, key):
    talk = "(while :; do echo tick; sleep 0.1; done)"
    ssh(first["floating"], key, f"for p in 8080 8081; do (while :; do {talk} | nc -l -p $p; done) >/dev/null 2>&1 & done", check=False)
    rule = real.openstack(
        "security", "group", "rule", "create", "--protocol", "tcp", "--dst-port", "8080", "demo-ssh", "-f", "json"
    )
    wait_for("the allowed port opens", lambda: is_open(first["floating"], 8080), 10)
    assert not is_open(first["floating"], 8081), "a port without a rule is open"
    token = real.token()
    # A connection on which the guest goes on talking ends as well.
    talking = wait_for("the guest talks", lambda: talks(first["floating"], 8080), 10)
    status, _, _ = real.get(f"/network/v2.0/security-group-rules/{rule['id']}", token, "DELETE")
    assert status == 204
    # Within a second; a probe in flight at its end takes its own time.
    wait_for("the port closes", lambda: not is_open(first["floating"], 8080, 0.3), 1.3, pause=0.05)
    assert falls_silent(talking, 3), "the guest is still heard"
    assert is_open(first["floating"], 22), "ssh must stay open"


def test_spoofed_sources_are_dropped(first, second, key):
    target = second["fixed"]
    # The same request from the guest's own address and from one it was not given.
    script = (
        f"sudo ip addr add 10.20.0.77/32 dev eth0; ping -c 1 -W 2 {target} >/dev/null; echo own $?; "
        f"ping -c 1 -W 2 -I 10.20.0.77 {target} >/dev/null; echo spoofed $?; sudo ip addr del 10.20.0.77/32 dev eth0"
    )
    said = ssh(first["floating"], key, script).stdout
    assert "own 0" in said, said
    assert "spoofed 1" in said, said


@pytest.fixture
def file_outside():
    """Where guests find a file of 2 MiB that nothing can make smaller, outside the cloud."""
    content = os.urandom(2 << 20)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_args):
            pass

    server = http.server.ThreadingHTTPServer(("172.24.4.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://172.24.4.1:{server.server_port}/file"
    server.shutdown()
    server.server_close()


def test_a_guest_downloads_as_fast_as_its_policy_lets_it(real, first, key, file_outside):
    def seconds():
        now = "cut -d' ' -f1 /proc/uptime"
        said = ssh(first["floating"], key, f"{now}; wget -q -O /dev/null {file_outside} && {now}", limit=120).stdout
        began, ended = map(float, said.split())
        return ended - began

    def limited():
        return "tbf" in run("tc", "qdisc", "show", "dev", tap).stdout

    real.admin("network", "qos", "policy", "create", "--share", "slow")
    rule = ("network", "qos", "rule", "create", "slow", "--type", "bandwidth-limit")
    real.admin(*rule, "--max-kbps", "2000", "--ingress")
    [port] = real.openstack("port", "list", "--server", first["id"], "-f", "json")
    tap = f"tap{port['ID'][:11]}"
    free = seconds()
    real.openstack("port", "set", "--qos-policy", "slow", port["ID"])
    wait_for("the port is limited", limited, 10)
    slow = seconds()
    real.openstack("port", "unset", "--qos-policy", port["ID"])
    wait_for("the port is limited no more", lambda: not limited(), 10)
    real.admin("network", "qos", "policy", "delete", "slow")
    # 16.8 Mbit at 2 Mbit/s, of which the first 1.6 Mbit come at once.
    assert slow >= 7, f"{slow} s with a limit, {free} s without"
    assert free < 5, f"{free} s without a limit"
    assert real.fsck() == []


def test_a_server_stops_starts_and_reboots(real, first, key):
    real.openstack("server", "stop", "second")
    wait_for("it is off", lambda: real.server("second")["status"] == "SHUTOFF", 120, pause=1)
    real.openstack("server", "start", "second")
    wait_for("it is on", lambda: real.server("second")["status"] == "ACTIVE", 60, pause=1)
    real.openstack("server", "reboot", "--hard", "--wait", "second")
    assert real.server("second")["status"] == "ACTIVE"


def test_the_check_finds_what_is_wrong_with_the_hosts_network_and_the_agent_mends_it(real, first, key):
    # While it works, the agent is quicker than the check, which counts only what stays.
    real.down()
    run("nft", "delete", "table", "bridge", "nephos_sg")
    run("ip", "netns", "add", "nephos-r-00000000-00")
    run("ip", "tuntap", "add", "tap00000000-00", "mode", "tap")
    found = {finding["id"] for finding in real.fsck()}
    assert {"nephos-r-00000000-00", "tap00000000-00"} <= found, found
    assert any("nephos_sg" in one for one in found), found
    real.up()
    wait_for("the agent has put it right", lambda: real.fsck() == [], 120, pause=2)
    assert ssh(first["floating"], key, "hostname").stdout.strip() == "first"


def test_a_libvirtd_that_dies_is_started_again_and_the_guest_runs_on(real, first, key):
    pid = int((real.state / "libvirt/libvirtd.pid").read_text())
    os.kill(pid, signal.SIGKILL)
    real.openstack("server", "stop", "second")
    wait_for("the second server is off", lambda: real.server("second")["status"] == "SHUTOFF", 120, pause=1)
    real.openstack("server", "start", "second")
    wait_for("it is on", lambda: real.server("second")["status"] == "ACTIVE", 60, pause=1)
    assert int((real.state / "libvirt/libvirtd.pid").read_text()) != pid
    assert ssh(first["floating"], key, "hostname").stdout.strip() == "first"


def test_the_check_finds_a_guest_that_is_off_and_a_disk_that_is_lost(real, first, key):
    second = real.server("second")["id"]
    [disk] = (real.state / "host/servers" / second).glob("disk-*.qcow2")
    real.down()
    aside = real.state / "aside"
    disk.rename(aside)
    run("virsh", "--connect", real.libvirt_uri(), "destroy", second)
    findings = [finding for finding in real.fsck() if finding["id"] == second]
    assert {"switched off", "disk is not"} == {
        words for words in ("switched off", "disk is not") if any(words in finding["what"] for finding in findings)
    }, findings
    assert all(finding["hint"] for finding in findings)
    aside.rename(disk)
    real.up()
    # As the hint says: the service notes that it is off, and it can be started.
    wait_for("it is off", lambda: real.server("second")["status"] == "SHUTOFF", 60, pause=1)
    real.openstack("server", "start", "second")
    wait_for("it is on", lambda: real.server("second")["status"] == "ACTIVE", 60, pause=1)
    assert real.fsck() == []


def test_guests_outlive_the_cloud_and_are_found_again(real, first, key):
    domains = real.domains()
    real.down()
    assert ssh(first["floating"], key, "hostname").stdout.strip() == "first", "the guest runs without the cloud"
    real.up()
    assert real.domains() == domains
    assert real.server("first")["status"] == "ACTIVE"
    pid = real.kill()
    real.up()
    assert real.pid() != pid
    assert ssh(first["floating"], key, "hostname").stdout.strip() == "first"
    assert real.fsck() == []


def test_when_all_is_deleted_nothing_is_left(real, first, before):
    for name in ("first", "second"):
        real.openstack("server", "delete", "--wait", name, check=False)
    real.openstack("floating", "ip", "delete", first["floating"])
    real.openstack("router", "remove", "subnet", "demo-router", "demo-subnet")
    real.openstack("router", "delete", "demo-router")
    real.openstack("network", "delete", "demo-net")
    real.openstack("security", "group", "delete", "demo-ssh")
    real.openstack("keypair", "delete", "demo")
    real.admin("network", "delete", "public")
    real.admin("image", "delete", "nephos-guest")

    def clean():
        now = real.host()
        return all(now[part] == before[part] for part in ("domains", "files", "spaces", "links"))

    try:
        wait_for("the host is as before", clean, 60, pause=1)
    except AssertionError:
        now = real.host()
        raise AssertionError({part: (before[part], now[part]) for part in now if now[part] != before[part]}) from None
    assert real.host()["rules"].count("elements") == before["rules"].count("elements")
    usage = real.openstack("limits", "show", "--absolute", "-f", "json")
    used = {row["Name"]: row["Value"] for row in usage if row["Name"].startswith("total") and row["Name"].endswith("Used")}
    assert set(used.values()) <= {0}, used
    assert real.fsck() == []
    assert set(allocated(real).values()) == {0}, "placement still counts something"


def allocated(cloud):
    """What placement says is used, of every class on every host."""
    token = cloud.token("nephos-admin")
    used = {}
    for provider in cloud.get("/placement/resource_providers", token)[2]["resource_providers"]:
        usages = cloud.get(f"/placement/resource_providers/{provider['uuid']}/usages", token)[2]["usages"]
        used.update({(provider["name"], name): count for name, count in usages.items()})
    return used


def test_down_clean_removes_guests_and_network_from_the_machine(real):
    image = real.admin("image", "create", "--file", IMAGE, "--disk-format", "qcow2", "--public", "left", "-f", "json")
    network = real.openstack("network", "create", "left", "-f", "json")
    real.openstack("subnet", "create", "--network", "left", "--subnet-range", "10.30.0.0/24", "left")
    real.openstack("server", "create", "--image", image["id"], "--flavor", "m1.nano", "--network", network["id"], "--wait", "left")
    assert real.domains()
    real.nephos("down", "--clean")
    assert real.domains() == set()
    now = real.host()
    assert now["links"] == {"lo"} and not now["files"] and "nephos" not in now["rules"], now
    assert run("pgrep", "-f", "qemu-system", check=False).stdout == "", "a guest still runs"
