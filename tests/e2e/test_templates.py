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
    changed = stack(stacks, "update", "--wait", "--existing", "--parameter", "cidr=10.11.0.0/24", "one")
    assert "UPDATE_COMPLETE" in changed, changed
    assert outputs(stacks, "one")["private_address"].startswith("10.11.0.")
    delete(stacks, "one")


def test_three_tiers_with_a_scaling_group(stacks):
    made = create(stacks, "three-tier.yaml", "tiers", "--parameter", "web_servers=2")
    assert len(made["web_addresses"]) == 2, made
    stack(stacks, "resource", "signal", "tiers", "web_up")
    wait_for("the web tier is larger", lambda: len([a for a in outputs(stacks, "tiers")["web_addresses"] if a]) == 3, 60)
    stack(stacks, "update", "--wait", "--existing", "--parameter", "max_web_servers=5", "tiers")
    assert len(outputs(stacks, "tiers")["web_addresses"]) == 3
    delete(stacks, "tiers")


def test_a_private_network_with_a_bastion(stacks):
    made = create(stacks, "bastion.yaml", "inner")
    assert len(made["private_addresses"]) == 2, made
    stack(stacks, "update", "--wait", "--existing", "--parameter", "private_servers=3", "inner")
    assert len(outputs(stacks, "inner")["private_addresses"]) == 3
    delete(stacks, "inner")
