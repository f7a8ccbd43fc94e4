"""Load balancers on simulated hosts, by the ordinary clients."""

import pytest

from cloud import wait_for


@pytest.fixture(scope="module")
def balanced():
    from conftest import furnish, make

    cloud = make(8781, simulate=2)
    try:
        cloud.up()
        furnish(cloud)
        yield cloud
    finally:
        cloud.clean()


def subnet(sdk):
    return sdk.network.find_subnet("subnet").id


def test_the_sdk_makes_changes_and_deletes_all_there_is(balanced):
    demo = balanced.sdk()
    lb = demo.load_balancer.create_load_balancer(name="sdk", vip_subnet_id=subnet(demo))
    assert lb.vip_address.startswith("10.0.")
    active = lambda: demo.load_balancer.wait_for_load_balancer(lb.id, interval=0.2, wait=30)
    assert active().provisioning_status == "ACTIVE"
    listener = demo.load_balancer.create_listener(
        name="l", load_balancer_id=lb.id, protocol="HTTP", protocol_port=80, insert_headers={"X-Forwarded-For": "true"}
    )
    pool = demo.load_balancer.create_pool(
        name="p", listener_id=listener.id, protocol="HTTP", lb_algorithm="LEAST_CONNECTIONS",
        session_persistence={"type": "HTTP_COOKIE"},
    )
    members = [
        demo.load_balancer.create_member(pool, name=f"m{n}", address=f"10.0.0.{n}", protocol_port=8080) for n in (5, 6)
    ]
    monitor = demo.load_balancer.create_health_monitor(
        pool_id=pool.id, type="HTTP", delay=5, timeout=3, max_retries=2, url_path="/up"
    )
    policy = demo.load_balancer.create_l7_policy(
        listener_id=listener.id, action="REDIRECT_TO_URL", redirect_url="http://example.com/", name="away"
    )
    rule = demo.load_balancer.create_l7_rule(policy, type="PATH", compare_type="STARTS_WITH", value="/old")
    assert active().operating_status == "ONLINE"
    assert demo.load_balancer.get_member(members[0], pool).operating_status == "ONLINE"
    assert demo.load_balancer.get_listener(listener).default_pool_id == pool.id
    assert demo.load_balancer.get_pool(pool).health_monitor_id == monitor.id
    assert [one.id for one in demo.load_balancer.members(pool)] == [one.id for one in members]
    assert [one.id for one in demo.load_balancer.l7_rules(policy)] == [rule.id]
    assert [one.name for one in demo.load_balancer.listeners(load_balancer_id=lb.id)] == ["l"]

    demo.load_balancer.update_member(members[0], pool, weight=0)
    demo.load_balancer.update_pool(pool, lb_algorithm="ROUND_ROBIN")
    demo.load_balancer.update_health_monitor(monitor, delay=7)
    demo.load_balancer.update_listener(listener, connection_limit=100)
    demo.load_balancer.update_l7_policy(policy, redirect_url="http://example.org/")
    demo.load_balancer.update_l7_rule(rule, policy, invert=True)
    demo.load_balancer.update_load_balancer(lb.id, description="d")
    active()
    assert demo.load_balancer.get_member(members[0], pool).operating_status == "DRAINING"
    assert demo.load_balancer.get_load_balancer_statistics(lb.id).total_connections >= 0
    assert demo.load_balancer.get_listener_statistics(listener.id).bytes_in >= 0
    assert {one.name for one in demo.load_balancer.providers()} >= {"haproxy", "amphora"}
    assert demo.load_balancer.get_quota(demo.current_project_id).pools == 1000

    admin = balanced.sdk("nephos-admin")
    host = lambda: admin.network.get_port(lb.vip_port_id).binding_host_id
    before = host()
    admin.load_balancer.failover_load_balancer(lb.id)
    wait_for("it is on another host", lambda: host() != before, 30)
    active()
    assert balanced.fsck() == []

    demo.load_balancer.delete_l7_rule(rule, policy)
    demo.load_balancer.delete_l7_policy(policy)
    demo.load_balancer.delete_health_monitor(monitor)
    demo.load_balancer.delete_member(members[1], pool)
    demo.load_balancer.delete_pool(pool)
    demo.load_balancer.delete_listener(listener)
    active()
    assert list(demo.load_balancer.pools()) == []
    demo.load_balancer.delete_load_balancer(lb.id)
    wait_for("it is gone", lambda: not list(demo.load_balancer.load_balancers()), 30)
    assert not list(demo.network.ports(device_owner="Octavia")), "its port is left"
    assert balanced.fsck() == []


def test_the_command_line_client_does_what_the_guide_says(balanced):
    lb = lambda *arguments, **kwargs: balanced.openstack("loadbalancer", *arguments, **kwargs)
    lb("create", "--name", "web", "--vip-subnet-id", "subnet", "--wait")
    lb("listener", "create", "--name", "http", "--protocol", "HTTP", "--protocol-port", "80", "--wait", "web")
    lb("pool", "create", "--name", "servers", "--protocol", "HTTP", "--lb-algorithm", "ROUND_ROBIN", "--listener", "http", "--wait")
    lb("healthmonitor", "create", "--type", "HTTP", "--delay", "5", "--timeout", "3", "--max-retries", "2", "--url-path", "/", "--wait", "servers")
    lb("member", "create", "--address", "10.0.0.5", "--protocol-port", "80", "--wait", "servers")
    lb("l7policy", "create", "--name", "no", "--action", "REJECT", "--wait", "http")
    lb("l7rule", "create", "--type", "PATH", "--compare-type", "STARTS_WITH", "--value", "/no", "--wait", "no")
    shown = lb("show", "web", "-f", "json")
    assert (shown["provisioning_status"], shown["operating_status"]) == ("ACTIVE", "ONLINE")
    assert "servers" in lb("status", "show", "web")
    assert [row["name"] for row in lb("list", "-f", "json")] == ["web"]
    assert lb("stats", "show", "web", "-f", "json")["bytes_in"] >= 0
    lb("set", "--name", "site", "--wait", "web")
    lb("member", "set", "--weight", "3", "--wait", "servers", lb("member", "list", "servers", "-f", "value", "-c", "id"))
    lb("listener", "set", "--allowed-cidr", "10.0.0.0/8", "--wait", "http")
    refused = lb("listener", "create", "--protocol", "UDP", "--protocol-port", "53", "site", check=False)
    assert refused.returncode != 0
    assert "does not support a requested option" in refused.stderr, refused.stderr
    assert lb("provider", "list", "-f", "json")
    assert lb("quota", "defaults", "show", "-f", "json")["load_balancer"] == 100
    lb("delete", "--cascade", "--wait", "site")
    assert lb("list", "-f", "json") == []
