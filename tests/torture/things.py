"""The kinds of things that the load makes: where they are, how they are made, and when they are at rest."""




class Kind:
    """Of one service."""

    def __init__(self, service, path, key, body, name="name", state=None, rest=(), listing=None):
        self.service, self.path, self.key, self.body = service, path, key, body
        self.name, self.state, self.rest = name, state, rest
        self.listing = listing or path

    def one(self, found):
        """The part of an answer that is the thing."""
        return found.get(self.key, found)


TEMPLATE = """
heat_template_version: 2018-08-31
resources:
  net: {type: "OS::Neutron::Net"}
  subnet: {type: "OS::Neutron::Subnet", properties: {network: {get_resource: net}, cidr: 10.77.0.0/24}}
  port: {type: "OS::Neutron::Port", depends_on: subnet, properties: {network: {get_resource: net}}}
"""

KINDS = {
    "network": Kind("network", "/v2.0/networks", "network", lambda c, n, m: {"name": n}),
    "port": Kind("network", "/v2.0/ports", "port", lambda c, n, m: {"name": n, "network_id": c.ground["network"]}),
    "group": Kind("network", "/v2.0/security-groups", "security_group", lambda c, n, m: {"name": n}),
    "floating": Kind(
        "network", "/v2.0/floatingips", "floatingip",
        lambda c, n, m: {"floating_network_id": c.ground["public"], "description": n}, name="description",
    ),
    "volume": Kind(
        "block-storage", "/volumes", "volume", lambda c, n, m: {"size": 1, "name": n}, listing="/volumes/detail", state="status",
        rest=("available", "in-use", "error"),
    ),
    "snapshot": Kind(
        "block-storage", "/snapshots", "snapshot", lambda c, n, m: {"name": n, "volume_id": m["of"], "force": True},
        listing="/snapshots/detail", state="status", rest=("available", "error"),
    ),
    "server": Kind(
        "compute", "/servers", "server",
        lambda c, n, m: {
            "name": n, "imageRef": c.ground["image"], "flavorRef": c.ground["flavor"], "availability_zone": m["zone"],
            "networks": [{"uuid": c.ground["network"]}],
        },
        listing="/servers/detail", state="status", rest=("ACTIVE", "PAUSED", "SHUTOFF", "VERIFY_RESIZE", "ERROR"),
    ),
    "stack": Kind(
        "orchestration", "/stacks", "stack", lambda c, n, m: {"stack_name": n, "template": TEMPLATE}, name="stack_name",
        state="stack_status", rest=("CREATE_COMPLETE", "CREATE_FAILED", "DELETE_FAILED"),
    ),
    "object": Kind("object-store", "/torture", "object", None),
}


def listed(client, kind):
    """All things of a kind in a project, by name. Two of one name are a fault that the caller sees."""
    about = KINDS[kind]
    if kind == "object":
        found = client.look(about.service, f"{about.path}?format=json") or []
        return {each["name"]: each for each in found}, []
    found = client.look(about.service, about.listing) or {}
    items = next((items for key, items in found.items() if isinstance(items, list) and not key.endswith("_links")), [])
    named, twice = {}, []
    for each in items:
        name = each.get(about.name)
        if name in named:
            twice.append(name)
        named[name] = each
    return named, twice
