"""Starts a cloud, tells Tempest about it, runs a list of its tests, and counts only those that passed."""

import collections
import configparser
import functools
import http.server
import importlib
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))
WORKERS = 2


def plain(name):
    """A test's name without its attributes."""
    return re.sub(r"\[.*$", "", name)


def names(path):
    lines = (line.split("#")[0].strip() for line in Path(path).read_text().splitlines())
    return list(dict.fromkeys(plain(line) for line in lines if line))


# A module that makes its tests itself, of files: `stacks_list` is of the file `stacks`.
OF_FILES = "heat_tempest_plugin.tests.api.test_heat_api"


def owner(name):
    """What stays together: the tests of a class, whose set-up they share, or of a file, where each needs those before it."""
    owner = name.rsplit(".", 1)[0]
    return re.sub(rf"({re.escape(OF_FILES)}\.[^_]+)_.*", r"\1", owner)


def of_files(loader, wanted):
    """Those that are wanted, in their files' order."""
    suites = importlib.import_module(OF_FILES).load_tests(loader, unittest.TestSuite(), None)
    for suite in suites:
        suite._tests = [test for test in suite if plain(test.id()) in wanted]
    return suites


class Verdicts(unittest.TestResult):
    """One line of JSON per test."""

    def __init__(self, out):
        super().__init__()
        self.out = out

    def say(self, test, verdict, reason=""):
        self.out.write(json.dumps([plain(test.id()), verdict, reason.strip()[-1500:]]) + "\n")
        self.out.flush()

    def addSuccess(self, test):
        self.say(test, "passed")

    def addError(self, test, err):
        self.say(test, "failed", self._exc_info_to_string(err, test) if hasattr(test, "failureException") else str(err[1]))

    addFailure = addError

    def addSkip(self, test, reason):
        self.say(test, "skipped", reason)


def work(list_path, out_path):
    """A worker: runs its tests in this process."""
    loader, suite = unittest.TestLoader(), unittest.TestSuite()
    with open(out_path, "w") as out:
        verdicts = Verdicts(out)
        made = {name for name in names(list_path) if name.startswith(OF_FILES)}
        for name in names(list_path):
            if name not in made:
                suite.addTest(loader.loadTestsFromName(name))
        if made:
            suite.addTest(of_files(loader, made))
        for why in loader.errors:
            out.write(json.dumps(["", "failed", why[-1500:]]) + "\n")
        suite.run(verdicts)


# The network extensions that are promised: Tempest looks for these, and a lost one fails.
EXTENSIONS = """
    address-scope agent allowed-address-pairs availability_zone availability_zone_filter binding
    default-subnetpools dhcp_agent_scheduler empty-string-filtering ext-gw-mode external-net extra_dhcp_opt
    extraroute extraroute-atomic filter-validation fip-port-details floatingip-pools ip-substring-filtering
    l3_agent_scheduler net-mtu net-mtu-writable network-ip-availability network_availability_zone pagination
    port-mac-address-regenerate port-security project-id provider qos qos-bw-limit-direction qos-default
    qos-port-network-policy qos-rule-type-details qos-rules-alias quota-check-limit quota-check-limit-default
    quota_details quotas rbac-address-scope rbac-policies rbac-security-groups rbac-subnetpool
    revision-if-match router router_availability_zone security-group security-groups-normalized-cidr
    security-groups-shared-filtering service-type sorting standard-attr-description standard-attr-revisions
    standard-attr-tag standard-attr-timestamp stateful-security-group subnet-external-network
    subnet-service-types subnet_allocation subnetpool-prefix-ops tag-creation tag-ports-during-bulk-creation
    trunk trunk-details
""".split()


# What the object service's /info promises; Tempest leaves out tests of other features.
OBJECT_FEATURES = "account_quotas bulk_delete container_quotas dlo slo tempurl versioned_writes".split()


def trusted(cloud):
    """The certificates that its certificate is of; nothing where it speaks plain HTTP."""
    return cloud.state / "ca/ca.pem" if cloud.url.startswith("https") else ""


def stacks(cloud, admin, public):
    """What the tests of stacks expect: a user, with a network that has a way out."""
    password = "a-password-of-stacks"
    project = admin.create_project(name="stacks", domain_id="default")
    user = admin.create_user(name="stacks", password=password, domain_id="default")
    admin.grant_role("member", user=user.id, project=project.id)
    own = {"username": "stacks", "password": password, "project_name": "stacks"}
    member = admin.connect_as(**own, user_domain_id="default", project_domain_id="default")
    network = member.network.create_network(name="heat-net")
    subnet = member.network.create_subnet(network_id=network.id, name="heat-subnet", ip_version=4, cidr="10.20.0.0/24")
    router = member.network.create_router(name="heat-router", external_gateway_info={"network_id": public.id})
    member.network.add_interface_to_router(router, subnet_id=subnet.id)
    auth = admin.config.config["auth"]
    return own | {
        "auth_url": f"{cloud.url}/identity/v3", "auth_version": "3", "ca_file": trusted(cloud), "region": "RegionOne",
        "admin_username": "admin", "admin_password": auth["password"], "admin_project_name": "admin",
        "user_domain_name": "Default", "user_domain_id": "default",
        "project_domain_name": "Default", "project_domain_id": "default",
        "instance_type": "c192", "minimal_instance_type": "c128", "image_ref": "one", "minimal_image_ref": "one",
        "floating_network_name": "public", "hidden_stack_tag": "data-processing-cluster", "build_interval": 1,
    }


def configure(cloud, folder, served, guest):
    """tempest.conf for this cloud, which has in it what the tests expect to find. `served` serves an image; servers are made
    of `guest`, if one is given."""
    admin = cloud.sdk("nephos-admin")
    image = folder / "served/image"
    image.write_bytes(os.urandom(1 << 20))
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", f"{image}.qcow2", "1M"], check=True)
    of = {"filename": str(guest or image), "disk_format": "qcow2" if guest else "raw"}
    images = [
        admin.create_image(name, **of, container_format="bare", visibility="public", wait=True) for name in ("one", "two")
    ]
    flavors = [admin.compute.create_flavor(name=f"c{ram}", ram=ram, vcpus=1, disk=1) for ram in (128, 192)]
    public = admin.network.create_network(
        name="public", is_router_external=True, provider_network_type="flat", provider_physical_network="public"
    )
    admin.network.create_subnet(
        network_id=public.id, ip_version=4, cidr="172.24.4.0/24", gateway_ip="172.24.4.1", is_dhcp_enabled=False
    )
    password = admin.config.config["auth"]["password"]
    sections = {
        "DEFAULT": {"log_file": folder / "tempest.log"},
        "oslo_concurrency": {"lock_path": folder},
        "auth": {
            "use_dynamic_credentials": True, "tempest_roles": "member", "admin_username": "admin", "admin_password": password,
            "admin_project_name": "admin", "admin_domain_name": "Default",
        },
        "identity": {
            "ca_certificates_file": trusted(cloud), "uri_v3": f"{cloud.url}/identity/v3", "auth_version": "v3", "region": "RegionOne",
            "user_lockout_failure_attempts": 2, "user_lockout_duration": 5, "user_unique_last_password_count": 2,
        },
        "identity-feature-enabled": {
            "api_v2": False, "trust": True, "access_rules": True, "security_compliance": True, "enforce_scope": True,
        },
        "service_available": dict.fromkeys(("cinder", "swift", "neutron", "glance", "nova", "heat"), True),
        "compute": {
            "image_ref": images[0].id, "image_ref_alt": images[1].id, "flavor_ref": flavors[0].id,
            "flavor_ref_alt": flavors[1].id, "min_microversion": "2.1", "max_microversion": "latest", "min_compute_nodes": 2,
        },
        "compute-feature-enabled": {
            "interface_attach": True, "config_drive": True, "disk_config": True, "hostname_fqdn_sanitization": True,
            "enable_instance_password": True, "resize": True, "cold_migration": True, "volume_multiattach": True,
            "live_migration": True, "block_migration_for_live_migration": True, "attach_encrypted_volume": True,
        },
        "image": {"http_image": f"http://{served}/image", "http_qcow2_image": f"http://{served}/image.qcow2"},
        "image-feature-enabled": {"import_image": True, "do_secure_hash": True, "manage_locations": True},
        "enforce_scope": {"keystone": True, "nova": True, "neutron": True, "glance": True, "placement": True},
        "placement": {"min_microversion": "1.0", "max_microversion": "latest"},
        "network": {"public_network_id": public.id, "floating_network_name": "public"},
        "network-feature-enabled": {
            "ipv6": True, "ipv6_subnet_attributes": True, "floating_ips": True, "port_security": True,
            "port_admin_state_change": True, "api_extensions": ",".join(EXTENSIONS),
        },
        "neutron_plugin_options": {"create_shared_resources": True},
        "object-storage-feature-enabled": {"discoverable_apis": ",".join(OBJECT_FEATURES), "container_sync": False},
        "volume": {
            "catalog_type": "block-storage", "min_microversion": "3.0", "max_microversion": "latest",
            "storage_protocol": "file", "vendor_name": "Nephos", "backend_names": "one,two",
        },
        "volume-feature-enabled": {
            "backup": True, "snapshot": True, "clone": True, "multi_backend": True, "manage_volume": False,
            "manage_snapshot": True, "extend_attached_volume": True, "extend_attached_encrypted_volume": True,
            "extend_volume_with_snapshot": True,
            "volume_revert": False, "consistency_group": False,
        },
        "validation": {"run_validation": False},
        "heat_plugin": stacks(cloud, admin, public),
    }
    file = configparser.RawConfigParser()
    file.optionxform = str
    for section, keys in sections.items():
        if section != "DEFAULT":
            file.add_section(section)
        for key, value in keys.items():
            if value == "":
                continue
            file.set(section, key, str(value))
    with open(folder / "tempest.conf", "w") as out:
        file.write(out)


def serve(folder):
    """Serves the folder `served` in the folder; the host and port it is at."""
    (folder / "served").mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_args):
            pass

    handler = functools.partial(Handler, directory=str(folder / "served"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"127.0.0.1:{server.server_port}"


def volumes(folder):
    """A folder for volumes on a file system whose files can share blocks: what is in use is copied there as well."""
    image, place = folder / "volumes.xfs", folder / "volumes"
    place.mkdir()
    with open(image, "w") as out:
        out.truncate(64 << 30)
    subprocess.run(["mkfs.xfs", "-q", image], check=True)
    subprocess.run(["mount", "-o", "loop", image, place], check=True)
    return place


def run(wanted, folder, trust):
    """The verdict and its reason by name. `trust`: a file with the certificates that the cloud's are of, or nothing."""
    classes = collections.defaultdict(list)
    for name in wanted:
        classes[owner(name)].append(name)
    parts = [[] for _ in range(WORKERS)]
    for tests in sorted(classes.values(), key=len, reverse=True):
        min(parts, key=len).extend(tests)
    workers = []
    env = dict(os.environ, TEMPEST_CONFIG_DIR=str(folder), TEMPEST_CONFIG="tempest.conf", PYTHONWARNINGS="ignore")
    if trust:
        env["SSL_CERT_FILE"] = str(trust)  # for tests that speak HTTP by themselves
    for number, part in enumerate(filter(None, parts)):
        (folder / f"list{number}").write_text("\n".join(part))
        command = [sys.executable, __file__, "--work", folder / f"list{number}", folder / f"out{number}"]
        log = open(folder / f"worker{number}.log", "w")
        workers.append(subprocess.Popen(command, env=env, stdout=log, stderr=log))
    for worker in workers:
        worker.wait()
    verdicts = {name: ("failed", "no verdict came back") for name in wanted}
    for number in range(len(workers)):
        for line in (folder / f"out{number}").read_text().splitlines():
            name, verdict, reason = json.loads(line)
            of_class = re.match(r"(?:setUp|tearDown)Class \((.+)\)", name)
            if of_class:
                hit = [known for known in wanted if owner(known) == of_class[1]]
            else:
                hit = [name] if name in verdicts else []
            for known in hit:
                if not (of_class and verdicts[known][0] == "passed" and verdict == "skipped"):
                    verdicts[known] = (verdict, reason)
    return verdicts


def settings(served, place):
    """Some tests are about several stores or back ends, one gives the address of an image, others are about passwords."""
    sections = {
        "block": {"backends": ["one", "two"], "folder": str(place)},
        "image": {"stores": ["one", "two"], "web_download_hosts": [served]},
        "identity": {"lockout_tries": 2, "lockout_secs": 5, "remembered_passwords": 2},
    }
    lines = [f"{section}.{key} = {json.dumps(value)}" for section, keys in sections.items() for key, value in keys.items()]
    return "\n".join(lines) + "\n"


def of_one_process(folder, more):
    """With simulated hosts."""
    from cloud import Cloud

    cloud = Cloud(folder / "cloud", 8774, simulate=2)
    cloud.file.write_text(more + cloud.file.read_text())
    return cloud, cloud.up, None


def of_many(folder, more):
    """With PostgreSQL, RabbitMQ and three hosts with real guests."""
    from cloud import IMAGE
    from cluster import Cluster, wait_until_up

    cluster, file = Cluster(folder), folder / "more.toml"
    file.write_text(more)
    folder.chmod(0o755)

    def up():
        cluster.do("--with", file, "start")
        wait_until_up(cluster)

    # Only a guest that runs lets go of what is taken out of it.
    return cluster, up, IMAGE


def against_a_cloud(make, wanted, folder):
    """The verdicts of a cloud of its own, which is gone afterwards."""
    served, place = serve(folder), volumes(folder)
    cloud, up, guest = make(folder, settings(served, place))
    try:
        up()
        configure(cloud, folder, served, guest)
        return run(wanted, folder, trusted(cloud))
    finally:
        if hasattr(cloud, "keep_logs"):
            cloud.keep_logs()
        cloud.clean()
        subprocess.run(["umount", place], check=True)


def main(topology, lists):
    wanted, began = list(dict.fromkeys(name for path in lists for name in names(path))), time.monotonic()
    make = {"cloud": of_one_process, "cluster": of_many}[topology]
    with tempfile.TemporaryDirectory(prefix="tempest-") as folder:
        verdicts = against_a_cloud(make, wanted, Path(folder))
    for name, (verdict, reason) in sorted(verdicts.items()):
        if verdict != "passed":
            print(f"{verdict}: {name}")
            print("    " + "\n    ".join(reason.splitlines()[-6:]))
    count = collections.Counter(verdict for verdict, _ in verdicts.values())
    print(f"Tempest: {time.monotonic() - began:.0f} s")
    print(f"{count['passed']} passed, {count['failed']} failed, {count['skipped']} skipped")
    return 0 if count["passed"] == len(wanted) else 1


if __name__ == "__main__":
    if sys.argv[1] == "--work":
        work(sys.argv[2], sys.argv[3])
    else:
        sys.exit(main(sys.argv[1], sys.argv[2:]))
