"""The load: callers who each make one ordinary call after another on things of their own, as their dice have it."""

import random
import threading
import time

from client import Client
from field import SIMULATED_ZONE
from ledger import GONE, SERVICES, TASK, THERE, Thing, elsewhere, is_, on_port

# How what was created should be, and how many of a kind a caller has at most.
MADE = {"server": is_("ACTIVE"), "volume": is_("available"), "port": THERE, "floatingip": THERE, "security_group_rule": THERE}
MOST = {"server": 6, "volume": 3, "port": 4, "floatingip": 3, "security_group_rule": 4}


class Caller(threading.Thread):
    """One of those; `go` and `pause` say when."""

    def __init__(self, load, name, seed):
        super().__init__(name=name, daemon=True)
        self.load, self.ledger, self.dice = load, load.ledger, random.Random(f"{seed}/{name}")
        self.client, self.number, self.within = Client(load.field), 0, threading.Lock()

    def run(self):
        while not self.load.over:
            if not self.load.going.wait(0.2):
                continue
            with self.within:
                if not self.load.going.is_set():
                    continue
                try:
                    self.step()
                except Exception as fault:
                    self.ledger.complain(f"{self.name} broke off: {fault!r}")
            time.sleep(self.dice.uniform(*self.pause))

    # what is its own

    def mine(self, kind):
        return [thing for thing in self.ledger.all() if thing.kind == kind and thing.owner is self]

    def called(self):
        self.number += 1
        return f"{self.name}-{self.number}"

    # one call

    def call(self, thing, end, service, method, path, body=None, **more):
        """A request that changes a thing."""
        answer = self.asked(service, method, path, body, **more)
        if answer.good:
            thing.ends = [end]
            thing.requests.append(answer.request)
        elif answer.lost:
            thing.ends.append(end)
        elif answer.status == 409 and "Try again" in answer.words:
            pass  # what was asked for just before goes on
        elif not (thing.in_doubt and answer.status in (404, 409)):
            self.refused(f"{method} {path} {body or ''}", answer)
        return answer

    def create(self, kind, body):
        service, place = SERVICES[kind]
        answer = self.asked(service, "POST", f"/{place}", {kind: body})
        if answer.good:
            self.ledger.add(Thing(kind, answer.body[kind]["id"], [MADE[kind]], [answer.request], self))
        elif not answer.lost:
            self.refused(f"POST /{place}", answer)

    def asked(self, *request, **more):
        answer = self.client.ask(*request, **more)
        self.ledger.count(request[1], answer)
        if answer.lost and not self.load.disturbed.is_set():
            self.ledger.complain(f"nothing was killed yet, and {request[1]} {request[2]} got {answer}")
        return answer

    def refused(self, what, answer):
        self.ledger.complain(f"{what} was refused: {answer}")

    def rests(self, thing):
        """The server, if it has nothing to do."""
        if thing.in_doubt:
            return None
        view, _ = self.client.view(thing)
        return view if view and not view[TASK] and view["status"] != "BUILD" else None

    # servers

    def create_server(self, image, flavor, zone):
        ids = self.load.ids
        body = {"name": self.called(), "imageRef": ids[image], "flavorRef": ids[flavor], "availability_zone": zone,
                "networks": [{"uuid": ids["busy"]}], "security_groups": [{"name": "busy"}]}
        self.create("server", body)

    def delete(self, thing):
        service, place = SERVICES[thing.kind]
        self.call(thing, GONE, service, "DELETE", f"/{place}/{thing.id}")

    def act(self, thing, end, body, **more):
        return self.call(thing, end, "compute", "POST", f"/servers/{thing.id}/action", body, **more)

    def change_server(self, thing):
        view = self.rests(thing)
        if view is None:
            return
        if view["status"] == "ERROR":
            self.delete(thing)
        elif view["status"] == "SHUTOFF":
            self.act(thing, is_("ACTIVE"), {"os-start": None})
        elif view["status"] == "VERIFY_RESIZE":
            self.act(thing, is_("ACTIVE"), {self.dice.choice(("confirmResize", "revertResize")): None})
        elif view["status"] == "ACTIVE":
            self.dice.choice(self.changes)(self, thing, view)

    def stop(self, thing, view):
        self.act(thing, is_("SHUTOFF"), {"os-stop": None})

    def reboot(self, thing, view):
        self.act(thing, is_("ACTIVE"), {"reboot": {"type": "HARD"}})

    def rebuild(self, thing, view):
        self.act(thing, is_("ACTIVE"), {"rebuild": {"imageRef": self.load.ids["nothing"]}})

    def resize(self, thing, view):
        other = "large" if view["flavor"]["original_name"] == "small" else "small"
        self.act(thing, is_("VERIFY_RESIZE"), {"resize": {"flavorRef": self.load.ids[other]}})

    def move(self, thing, view):
        """While it runs; where to is the cloud's choice."""
        body = {"os-migrateLive": {"host": None, "block_migration": "auto"}}
        self.act(thing, elsewhere(view), body, admin=True)

    changes = (stop, reboot, rebuild, resize, move)


class Simulated(Caller):
    """Of everything; its servers are on simulated hosts."""

    pause = (0.05, 0.25)

    def step(self):
        kind = self.dice.choices(list(MOST), (6, 2, 2, 2, 2))[0]
        mine = self.mine(kind)
        if len(mine) < MOST[kind] and self.dice.random() < 0.45:
            return getattr(self, f"create_{kind}")()
        if not mine:
            return None
        thing = self.dice.choice(mine)
        if thing.server or GONE in thing.ends:
            return self.detach(thing) if thing.server and not thing.in_doubt else None
        if self.dice.random() < 0.35:
            return self.remove(thing)
        return getattr(self, f"change_{kind}", lambda _: None)(thing)

    def create_server(self):
        super().create_server("nothing", "small", SIMULATED_ZONE)

    def create_port(self):
        body = {"network_id": self.load.ids["busy"], "name": self.called()}
        self.create("port", body)

    def create_volume(self):
        self.create("volume", {"size": 1, "name": self.called()})

    def create_floatingip(self):
        body = {"floating_network_id": self.load.ids["public"], "description": self.called()}
        self.create("floatingip", body)

    def create_security_group_rule(self):
        self.number += 1
        body = {"security_group_id": self.load.ids["group"], "direction": "ingress", "protocol": "tcp",
                "port_range_min": 1000 + self.number, "port_range_max": 1000 + self.number, "description": self.name,
                "remote_ip_prefix": f"198.51.100.{self.load.callers.index(self)}/32"}
        self.create("security_group_rule", body)

    def remove(self, thing):
        # What somebody uses stays; a volume in doubt may be in use.
        if thing.kind == "server" and self.has_volumes(thing):
            return
        if thing.kind == "volume" and (thing.in_doubt or self.status(thing) != "available"):
            return
        self.delete(thing)
        if thing.kind == "port":
            for address in self.mine("floatingip"):
                if address.port is thing:
                    address.ends = [end if end is GONE else THERE for end in address.ends]

    def has_volumes(self, server):
        return any(volume.server is server for volume in self.mine("volume"))

    def move(self, thing, view):
        # With volumes they do not move while they run.
        if not self.has_volumes(thing):
            super().move(thing, view)

    changes = (Caller.stop, Caller.reboot, Caller.rebuild, Caller.resize, move)

    def status(self, thing):
        view, _ = self.client.view(thing)
        return view and view["status"]

    def change_floatingip(self, thing):
        used = [address.port for address in self.mine("floatingip")]
        ports = [port for port in self.mine("port") if not port.in_doubt and GONE not in port.ends and port not in used]
        if ports and not thing.in_doubt:
            thing.port = self.dice.choice(ports)
            body = {"floatingip": {"port_id": thing.port.id}}
            self.call(thing, on_port(thing.port.id), "network", "PUT", f"/floatingips/{thing.id}", body)

    def change_volume(self, thing):
        servers = [server for server in self.mine("server") if not server.in_doubt and GONE not in server.ends]
        if not servers or thing.in_doubt or self.status(thing) != "available":
            return
        server = self.dice.choice(servers)
        view = self.rests(server)
        if view and view["status"] == "ACTIVE":
            body = {"volumeAttachment": {"volumeId": thing.id}}
            answer = self.call(thing, is_("in-use"), "compute", "POST", f"/servers/{server.id}/os-volume_attachments", body)
            thing.server = server if answer.good or answer.lost else None

    def detach(self, thing):
        path = f"/servers/{thing.server.id}/os-volume_attachments/{thing.id}"
        server = self.rests(thing.server)
        if server and server["status"] in ("ACTIVE", "SHUTOFF") and self.status(thing) == "in-use":
            if self.call(thing, is_("available"), "compute", "DELETE", path).good:
                thing.server = None


class Real(Caller):
    """Servers on the three real hosts, whose guests do nothing."""

    pause = (0.3, 1)
    most = 3

    def step(self):
        mine = [thing for thing in self.mine("server") if GONE not in thing.ends]
        if len(mine) < self.most and self.dice.random() < 0.5:
            return super().create_server("nothing", "small", self.dice.choice(("zone-a", "zone-b")))
        if not mine:
            return None
        thing = self.dice.choice(mine)
        return self.delete(thing) if self.dice.random() < 0.3 else self.change_server(thing)

    def move(self, thing, view):
        # The other zone has one host.
        if view["OS-EXT-AZ:availability_zone"] == "zone-a":
            super().move(thing, view)

    # Nothing in such a guest hears that it is to be shut down, so that whatever asks it to waits a minute.
    changes = (Caller.reboot, Caller.rebuild, move)


class Load:
    def __init__(self, field, ledger, seed, callers):
        self.field, self.ledger, self.over = field, ledger, False
        self.going, self.disturbed = threading.Event(), threading.Event()
        self.ids = ids_of(field)
        self.callers = [Simulated(self, f"caller-{number}", seed) for number in range(callers)]
        self.callers.append(Real(self, "caller-real", seed))
        for caller in self.callers:
            caller.start()

    def go(self):
        self.disturbed.clear()
        self.going.set()

    def pause(self):
        """Returns when every call has its answer."""
        self.going.clear()
        for caller in self.callers:
            with caller.within:
                pass

    def end(self):
        """Everything that it made is deleted."""
        self.over = True
        for thing in self.ledger.all():
            if thing.server:
                thing.owner.detach(thing)
        for thing in self.ledger.all():
            if not thing.server:
                thing.owner.delete(thing)

    def adopt(self, views):
        """What was made by requests whose answers were lost."""
        callers = {caller.name: caller for caller in self.callers}
        for kind, listed in views.items():
            for view in listed.values():
                owner = callers.get("-".join((view.get("name") or view.get("description") or "").split("-")[:2]))
                if owner and view["id"] not in self.ledger.things and view["id"] not in self.ledger.given_up:
                    self.ledger.add(Thing(kind, view["id"], [MADE[kind]], ["lost"], owner))


def ids_of(field):
    """What calls name, by its name."""
    demo = field.sdk()
    networks = {network.name: network.id for network in demo.network.networks()}
    flavors = {flavor.name: flavor.id for flavor in demo.compute.flavors()}
    group = demo.network.find_security_group("busy").id
    return {**networks, **flavors, "nothing": demo.image.find_image("nothing").id, "group": group}
