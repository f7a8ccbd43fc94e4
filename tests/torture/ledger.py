"""What was asked for and accepted, and whether it has come to its end."""

import threading
from collections import Counter
from dataclasses import dataclass

SERVICES = {
    "server": ("compute", "servers"),
    "volume": ("block_storage", "volumes"),
    "port": ("network", "ports"),
    "floatingip": ("network", "floatingips"),
    "security_group_rule": ("network", "security-group-rules"),
}
TASK = "OS-EXT-STS:task_state"


class End:
    """How something may be when all is done."""

    def __init__(self, name, holds):
        self.name, self.holds = name, holds

    def __repr__(self):
        return self.name


GONE = End("gone", lambda view: view is None)
THERE = End("there", lambda view: view is not None)


def is_(status):
    return End(status, lambda view: view is not None and view["status"] == status)


def elsewhere(view):
    """A server that runs, and not where it was."""
    before = view["hostId"]
    return End("ACTIVE elsewhere", lambda view: view is not None and view["status"] == "ACTIVE" and view["hostId"] != before)


def on_port(port):
    return End("on its port", lambda view: view is not None and view["port_id"] == port)


@dataclass(eq=False)
class Thing:
    kind: str
    id: str
    # More than one, while nobody knows whether a request whose answer was lost was accepted.
    ends: list
    # The requests since it last was in order.
    requests: list
    # The caller that made it.
    owner: object
    # Of a volume: the server that has it; of a floating IP: its port.
    server: object = None
    port: object = None

    @property
    def in_doubt(self):
        return len(self.ends) > 1


class Ledger:
    def __init__(self):
        self.lock = threading.Lock()
        self.things = {}
        # What did not come to its end, and was complained of.
        self.given_up = set()
        self.answers = Counter()
        # Requests that ended with a clear error, and what must not be.
        self.errors, self.wrong = [], []

    def count(self, method, answer):
        with self.lock:
            self.answers["looked" if method == "GET" else "lost" if answer.lost else "accepted" if answer.good else "refused"] += 1

    def add(self, thing):
        with self.lock:
            self.things[thing.id] = thing

    def complain(self, words):
        with self.lock:
            self.wrong.append(words)

    def give_up(self, thing):
        self.forget(thing)
        self.given_up.add(thing.id)

    def forget(self, thing):
        with self.lock:
            self.things.pop(thing.id, None)

    def take_wrong(self):
        with self.lock:
            wrong, self.wrong = self.wrong, []
        return wrong

    def take_errors(self):
        with self.lock:
            errors, self.errors = self.errors, []
        return errors

    def all(self):
        with self.lock:
            return list(self.things.values())

    def unfinished(self, client, things):
        """Those that have not come to an end, and in words why; what has is settled, and forgotten if it is gone."""
        views = client.views()
        return {thing.id: (thing, said) for thing in things if (said := self.judge(client, thing, views[thing.kind]))}

    def judge(self, client, thing, views):
        # What no list has is looked at by itself.
        view, why = (views[thing.id], "") if thing.id in views else client.view(thing)
        if why:
            return f"{thing.kind} {thing.id}: {why}"
        words = f"{thing.kind} {thing.id} is {shown(view)}, not {' or '.join(map(str, thing.ends))}"
        if thing.kind == "server" and view and view[TASK]:
            return f"{words}, and {view[TASK]}"
        if not any(end.holds(view) for end in thing.ends):
            error = client.error(thing, view)
            if not error:
                return words
            self.errors.append(f"{words}: {error}")
        self.settle(thing, view)
        return None

    def settle(self, thing, view):
        thing.requests = []
        if thing.kind == "volume" and view and view["status"] == "available":
            thing.server = None
        if view is None:
            self.forget(thing)
        else:
            thing.ends = [is_(view["status"]) if thing.kind in ("server", "volume") else THERE]


def shown(view):
    return "gone" if view is None else view.get("status", "there")
