"""What a seed means: which kills, when, and what the load asks meanwhile. Pure; the same seed gives the same plan."""

from dataclasses import dataclass, field
from random import Random

KINDS = ("api", "worker", "agent", "libvirtd", "rabbitmq", "postgres", "host", "network")
PROJECTS = ("left", "right")
HOSTS = ("node1", "node2", "node3")
# Bystanders, and what carries their traffic, are on the other two.
LOST = "node3"
APIS = ("identity-1", "identity-2", "placement-1", "image-1", "network-1", "compute-1", "compute-2", "block-1", "orchestration-1")
WORKERS = ("network-2", "compute-1", "compute-2", "block-1", "orchestration-1")
# What is made, and is gone with the next round.
CHEAP = ("network", "group", "floating", "port", "volume", "snapshot", "object", "stack")


@dataclass(frozen=True)
class Kill:
    """One thing that ends: after so many seconds of load, for so long (what comes back by itself: so often)."""

    kind: str
    victim: str
    after: float
    lasts: float
    times: int = 1

    def __str__(self):
        how = f"for {self.lasts} s" if self.kind in ("host", "network") else f"{self.times} times"
        return f"{self.kind} {self.victim} after {self.after} s, {how}"


@dataclass(frozen=True)
class Wish:
    """One request: what to do to which thing, after a pause."""

    pause: float
    verb: str
    kind: str
    name: str
    more: dict = field(default_factory=dict)

    def __str__(self):
        more = " ".join(f"{key}={value}" for key, value in self.more.items())
        return f"{self.verb} {self.kind} {self.name} {more}".strip()


def kinds_of(seed, kinds, each):
    """Which kind is killed in which round."""
    order = [kind for kind in kinds for _ in range(each)]
    Random(f"{seed}/kinds").shuffle(order)
    return order


def kill_of(seed, number, kind):
    rng = Random(f"{seed}/{number}/kill")
    victims = {
        "api": APIS, "worker": WORKERS, "agent": HOSTS, "libvirtd": HOSTS, "rabbitmq": ("rabbitmq",), "postgres": ("postgres",),
        "host": (LOST,),
        # One host from all others and the control plane, or two from each other.
        "network": (f"{LOST}", f"{LOST}-node1", f"{LOST}-node2"),
    }
    after = round(rng.uniform(0.5, 3.5), 2)
    lasts = round(rng.uniform(2, 6), 1)
    return Kill(kind, rng.choice(victims[kind]), after, lasts, rng.choice((1, 1, 2, 3)))


def scripts_of(seed, number, project):
    """What a project asks for in a round: scripts that run beside each other, each in order."""
    rng = Random(f"{seed}/{number}/{project}")
    # The others take their turn, so that few guests start at once.
    boots = PROJECTS[number % len(PROJECTS)] == project
    return [paced(rng, cheap(rng, number, project)), paced(rng, servers(rng, number, project, boots))]


def paced(rng, wishes):
    return [Wish(round(rng.uniform(0, 0.5), 2), *wish) for wish in wishes]


def name_of(project, number, kind):
    return f"{project}-{number}-{kind}"


def cheap(rng, number, project):
    """Things without a guest: some are made, those of the last round go."""
    make = [kind for kind in CHEAP if rng.random() < 0.85]
    if "snapshot" in make and "volume" not in make:
        make.remove("snapshot")
    rng.shuffle(make)
    make.sort(key=lambda kind: kind == "snapshot")  # of the volume, which may be in use by then
    wishes = []
    for kind in make:
        more = {"of": name_of(project, number, "volume")} if kind == "snapshot" else {}
        wishes.append(("create", kind, name_of(project, number, kind), more))
    # Whatever of it was made: a name that nobody has is not there to be deleted. A volume goes after its snapshot.
    away = [("delete", kind, name_of(project, number - 1, kind), {}) for kind in CHEAP] if number else []
    rng.shuffle(away)
    away.sort(key=lambda wish: wish[1] == "volume")
    cut = rng.randrange(len(wishes) + 1)
    return wishes[:cut] + away + wishes[cut:]


def servers(rng, number, project, boots):
    """Guests: one is made, one that was is frozen, moves or goes; a volume goes into a guest that stays, and out of it."""
    wishes = []
    if boots:
        if number >= 2:
            wishes.append(("delete", "server", name_of(project, number - 2, "server"), {}))
        zone = rng.choice(("zone-a", "zone-b"))
        wishes.append(("create", "server", name_of(project, number, "server"), {"zone": zone}))
        return wishes
    last = name_of(project, number - 1, "server")
    if number and rng.random() < 0.4:
        # It moves, switched off on the way, and goes before anybody confirms that.
        wishes.append(("migrate", "server", last, {}))
    elif number:
        wishes.append(("pause", "server", last, {}))
        if rng.random() < 0.5:
            wishes.append(("unpause", "server", last, {}))
    volume = f"{project}-kept"
    wishes += [("attach", "volume", volume, {"to": f"{project}-kept"}), ("detach", "volume", volume, {"to": f"{project}-kept"})]
    if rng.random() < 0.5:
        wishes.append(("attach", "volume", volume, {"to": f"{project}-kept"}))
    rng.shuffle(wishes)
    if rng.random() < 0.3:
        # While it runs, and first of all: the others are refused until it is there.
        wishes.insert(0, ("live", "server", f"{project}-kept", {}))
    return wishes
