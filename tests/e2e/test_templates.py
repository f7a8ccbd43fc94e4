"""The templates of heat-templates/, by the ordinary client: launched, updated, deleted."""

from pathlib import Path

import pytest

from cloud import wait_for

TEMPLATES = Path(__file__).resolve().parents[2] / "heat-templates"


@pytest.fixture(scope="module")
def stacks(simulated):
    """The command, with an external network to go out by."""
    admin = simulated.sdk("nephos-admin")
    public = admin.network.create_network(name="public", is_router_external=True)
    admin.network.create_subnet(network_id=public.id, ip_version=4, cidr="198.51.100.0/24", is_dhcp_enabled=False)
    return simulated


def stack(cloud, *arguments):
    return cloud.openstack("stack", *arguments)


def outputs(cloud, name):
    shown = stack(cloud, "show", "-f", "json", name)
    assert shown["stack_status"].endswith("_COMPLETE"), shown
    return {output["output_key"]: output["output_value"] for output in shown["outputs"]}


def create(cloud, template, name, *more):
    stack(cloud, "create", "--wait", "-t", str(TEMPLATES / template), "--parameter", "image=image",
          "--parameter", "flavor=tiny", *more, name)
    return outputs(cloud, name)


def delete(cloud, name):
    stack(cloud, "delete", "--wait", "--yes", name)
    demo = cloud.sdk()
    wait_for("its servers are gone", lambda: not list(demo.compute.servers()), 30)
    assert [network.name for network in demo.network.networks(is_router_external=False)] == ["net"]
    assert not list(demo.network.ips())
    assert cloud.fsck() == []


def test_one_server_with_a_floating_ip(stacks):
    made = create(stacks, "server.yaml", "one")
    assert made["address"].startswith("198.51.100."), made
    assert made["private_address"].startswith("10.10.0."), made
    stack(stacks, "update", "--wait", "--existing", "--parameter", "ssh_cidr=192.0.2.0/24", "one")
    assert outputs(stacks, "one") == made
    rules = stacks.sdk().network.security_group_rules(protocol="tcp", direction="ingress")
    assert [rule.remote_ip_prefix for rule in rules] == ["192.0.2.0/24"]
    delete(stacks, "one")


def test_three_tiers_with_a_scaling_group(stacks):
    made = create(stacks, "three-tier.yaml", "tiers", "--parameter", "web_servers=2")
    assert len(made["web_addresses"]) == 2, made
    stack(stacks, "resource", "signal", "tiers", "web_up")
    wait_for("the web tier is larger", lambda: len([a for a in outputs(stacks, "tiers")["web_addresses"] if a]) == 3, 60)
    stack(stacks, "update", "--wait", "--existing", "--parameter", "max_web_servers=5", "tiers")
    assert len(outputs(stacks, "tiers")["web_addresses"]) == 3
    delete(stacks, "tiers")


def test_a_load_balancer_in_front_of_a_scaling_group(stacks):
    made = create(stacks, "balanced.yaml", "balanced", "--parameter", "port=8080", "--parameter", "start=#!/bin/sh")
    assert made["address"].startswith("198.51.100."), made
    assert made["private_address"].startswith("10.30.0."), made
    demo = stacks.sdk()

    def members():
        return sorted(member.address for member in demo.load_balancer.members(made["pool"]))

    assert members() == sorted(made["server_addresses"])
    assert len(members()) == 2
    [listener] = demo.load_balancer.listeners()
    assert (listener.protocol_port, listener.provisioning_status) == (8080, "ACTIVE")
    stack(stacks, "resource", "signal", "balanced", "up")
    wait_for("the group is larger", lambda: len([a for a in outputs(stacks, "balanced")["server_addresses"] if a]) == 3, 60)
    stack(stacks, "update", "--wait", "--existing", "--parameter", "health_path=/health", "balanced")
    [monitor] = demo.load_balancer.health_monitors()
    assert monitor.url_path == "/health"
    now = outputs(stacks, "balanced")
    assert members() == sorted(now["server_addresses"])
    assert now["address"] == made["address"]
    stack(stacks, "resource", "signal", "balanced", "down")
    wait_for("the group is smaller", lambda: len(members()) == 2, 60)
    delete(stacks, "balanced")
    assert not list(demo.load_balancer.load_balancers())


def test_a_private_network_with_a_bastion(stacks):
    made = create(stacks, "bastion.yaml", "inner")
    assert len(made["private_addresses"]) == 2, made
    stack(stacks, "update", "--wait", "--existing", "--parameter", "private_servers=3", "inner")
    assert len(outputs(stacks, "inner")["private_addresses"]) == 3
    delete(stacks, "inner")


THINGS = """
heat_template_version: 2018-08-31
parameters:
  box: {type: string, constraints: [{allowed_pattern: "(?=.*[a-z])[a-z0-9-]{,20}"}]}
  readers: {type: string, default: ".r:*"}
  policy: {type: string, default: delete}
resources:
  box:
    type: OS::Swift::Container
    properties: {name: {get_param: box}, X-Container-Read: {get_param: readers}, X-Container-Meta: {colour: blue}, PurgeOnDelete: true}
  scope: {type: OS::Neutron::AddressScope, properties: {name: a-scope}}
  pool:
    type: OS::Neutron::SubnetPool
    properties: {prefixes: [10.77.0.0/16], default_prefixlen: 24, address_scope: {get_resource: scope}}
  guest:
    type: OS::Nova::Server
    deletion_policy: {get_param: policy}
    properties:
      image: image
      flavor: tiny
      networks: [{network: net, port_extra_properties: {allowed_address_pairs: [{ip_address: 10.99.0.1}]}}]
      tags: [mine]
      software_config_transport: POLL_SERVER_HEAT
  data: {type: OS::Cinder::Volume, deletion_policy: {get_param: policy}, properties: {size: 1}}
  pause: {type: OS::Heat::Delay, properties: {min_wait: 0.1}}
outputs:
  url: {value: {get_attr: [box, WebsiteURL]}}
  colour: {value: {get_attr: [box, HeadContainer, x-container-meta-colour]}}
  tags: {value: {get_attr: [guest, tags]}}
"""


def test_containers_pools_of_prefixes_and_what_stays(stacks, tmp_path):
    template = tmp_path / "things.yaml"
    template.write_text(THINGS)
    given = ("-t", str(template), "--parameter", "box=pictures")
    stack(stacks, "create", "--wait", *given, "things")
    made = outputs(stacks, "things")
    assert made["url"].endswith("/pictures") and made["colour"] == "blue", made
    assert made["tags"] == ["mine"], made
    demo = stacks.sdk()
    assert [scope.name for scope in demo.network.address_scopes()] == ["a-scope"]
    pairs = [port.allowed_address_pairs for port in demo.network.ports() if port.name == "guest-port-0"]
    assert [pair["ip_address"] for pair in pairs[0]] == ["10.99.0.1"], pairs
    demo.object_store.upload_object(container="pictures", name="a b/c", data=b"x")
    stack(stacks, "update", "--wait", *given, "--parameter", "readers=.r:example.org", "--parameter", "policy=snapshot",
          "things")
    shown = demo.object_store.get_container_metadata("pictures")
    assert (shown.read_ACL, shown.object_count) == (".r:example.org", 1)
    delete(stacks, "things")
    assert [container.name for container in demo.object_store.containers() if container.name == "pictures"] == []
    assert not list(demo.network.subnet_pools())
    backups = list(demo.block_storage.backups())
    assert [backup.status for backup in backups] == ["available"]
    demo.block_storage.delete_backup(backups[0], ignore_missing=False)
    images = [image for image in demo.image.images() if image.name.startswith("things-guest-")]
    assert [image.status for image in images] == ["active"]
    demo.image.delete_image(images[0], ignore_missing=False)


PEOPLE = """
heat_template_version: 2018-08-31
parameters:
  name: {type: string}
  secret: {type: string, hidden: true}
resources:
  domain: {type: OS::Keystone::Domain, properties: {name: hills}}
  project:
    type: OS::Keystone::Project
    properties: {name: {get_param: name}, domain: {get_resource: domain}, tags: [b, a]}
  role: {type: OS::Keystone::Role, properties: {name: forecaster}}
  crew:
    type: OS::Keystone::Group
    properties: {name: crew, domain: hills, roles: [{role: forecaster, project: {get_resource: project}}]}
    depends_on: [domain, role]
  user:
    type: OS::Keystone::User
    properties:
      name: ada
      domain: {get_resource: domain}
      password: {get_param: secret}
      default_project: {get_resource: project}
      groups: ["crew{hills}"]
    depends_on: crew
  given:
    type: OS::Keystone::UserRoleAssignment
    properties: {user: {get_resource: user}, roles: [{role: member, project: {get_resource: project}}]}
  region: {type: OS::Keystone::Region, properties: {id: moon, description: far}}
  service: {type: OS::Keystone::Service, properties: {name: weather, type: weather, description: rain}}
  endpoint:
    type: OS::Keystone::Endpoint
    properties: {service: {get_resource: service}, region: {get_resource: region}, interface: public, url: "http://weather.test"}
"""


def test_projects_people_and_the_catalogue(stacks, tmp_path):
    template = tmp_path / "people.yaml"
    template.write_text(PEOPLE)
    given = ("-t", str(template), "--parameter", "name=apollo", "--parameter", "secret=first-secret")
    refused = stacks.openstack("stack", "create", *given, "people", check=False)
    assert "not authorized to use OS::Keystone::" in refused.stderr + refused.stdout, refused
    stacks.admin("stack", "create", "--wait", *given, "people")
    admin = stacks.sdk("nephos-admin")
    domain = admin.identity.find_domain("hills")
    project = admin.identity.find_project("apollo", domain_id=domain.id)
    user = admin.identity.find_user("ada", domain_id=domain.id)
    assert (project.tags, user.default_project_id) == (["a", "b"], project.id)

    def roles(secret):
        who = {"name": "ada", "password": secret, "domain": {"id": domain.id}}
        body = {"auth": {"identity": {"methods": ["password"], "password": {"user": who}},
                         "scope": {"project": {"id": project.id}}}}
        status, _, shown = stacks.get("/identity/v3/auth/tokens", method="POST", body=body)
        return status, sorted(role["name"] for role in shown.get("token", {}).get("roles", []))

    status, names = roles("first-secret")
    assert status == 201 and {"forecaster", "member"} <= set(names), names
    assert [found.url for found in admin.identity.endpoints() if found.region_id == "moon"] == ["http://weather.test"]
    stacks.admin("stack", "update", "--wait", "--existing", "--parameter", "name=gemini", "--parameter",
                 "secret=second-secret", "people")
    assert admin.identity.get_project(project.id).name == "gemini"
    assert roles("first-secret")[0] == 401 and roles("second-secret")[0] == 201
    stacks.admin("stack", "delete", "--wait", "--yes", "people")
    assert admin.identity.find_domain("hills") is None and admin.identity.find_user("ada") is None
    assert not [region for region in admin.identity.regions() if region.id == "moon"]
    assert not [service for service in admin.identity.services() if service.name == "weather"]
    assert stacks.fsck() == []
