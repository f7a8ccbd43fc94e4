"""Carries out what the plan asks for, and keeps book of what must have come of it."""

import threading
import time

import things
from client import ACCEPTED, REFUSED, UNKNOWN
from plan import Wish


class Book:
    """What may be true of each thing of a project, by what was answered. Scripts share it."""

    def __init__(self):
        self.lock = threading.Lock()
        self.there = {}  # (kind, name) -> the set of True, False
        self.states = {}  # server -> the states that it may be in
        self.plugged = {}  # (volume, server) -> the set of True, False
        self.counts = {}  # (verb, kind, outcome) -> how often
        self.unclear = []  # refusals that say nothing, and what could not be asked
        self.failed = set()  # (kind, name) of what failed when something was killed that explains it

    def note(self, verb, kind, name, answer, more):
        outcome = answer.outcome
        with self.lock:
            key = (verb, kind, f"{outcome} {answer.status}")
            self.counts[key] = self.counts.get(key, 0) + 1
            if outcome == REFUSED and not answer.message:
                self.unclear.append(f"{verb} {kind} {name}: {answer.status} without a word")
            if verb in ("create", "delete"):
                self._note_existence(verb, kind, name, answer)
            elif verb in ("pause", "unpause"):
                self._may(self.states, name, "PAUSED" if verb == "pause" else "ACTIVE", outcome, {"ACTIVE"})
            elif verb in ("live", "migrate"):
                # What cannot move goes on where it was, and its history says why.
                if verb == "migrate" and outcome != REFUSED:
                    self.states[name] = self.states.get(name, {"ACTIVE"}) | {"VERIFY_RESIZE"}
            else:
                self._may(self.plugged, (name, more["to"]), verb == "attach", outcome, {False})

    def _note_existence(self, verb, kind, name, answer):
        outcome = answer.outcome
        if verb == "delete" and answer.status == 404:
            if self.there.get((kind, name)) == {True}:
                self.unclear.append(f"{kind} {name} was made and never deleted, and is not there")
            outcome = ACCEPTED
        self._may(self.there, (kind, name), verb == "create", outcome, {False})
        if kind == "server" and verb == "create":
            self.states[name] = {"ACTIVE"}

    @staticmethod
    def _may(book, key, value, outcome, before):
        known = book.get(key, before)
        if outcome == ACCEPTED:
            book[key] = {value}
        elif outcome == UNKNOWN:
            book[key] = known | {value}
        else:
            book[key] = known


class Project:
    """A project with its client, its lasting things and its book."""

    def __init__(self, name, client, admin, ground, say):
        self.name, self.client, self.admin, self.ground, self.say = name, client, admin, ground, say
        self.book = Book()
        self.ids = {}
        self.project_id = client.project_id

    def run(self, script):
        for wish in script:
            time.sleep(wish.pause)
            try:
                answer = self.do(wish)
            except Exception as why:  # whoever asked gave up; what was not asked has no outcome
                words = f"{wish}: not asked: {type(why).__name__} {why}"
                self.say(f"  {self.name}: {words}")
                with self.book.lock:
                    self.book.unclear.append(words)
                continue
            if answer is None:
                self.say(f"  {self.name}: {wish}: there is nothing to do it to")
                continue
            self.say(f"  {self.name}: {wish}: {answer.status} {answer.outcome} {answer.message[:100]}".rstrip())
            self.book.note(wish.verb, wish.kind, wish.name, answer, wish.more)

    def do(self, wish):
        return getattr(self, wish.verb)(wish)

    def create(self, wish):
        about = things.KINDS[wish.kind]
        if wish.kind == "object":
            return self.client.once("PUT", about.service, f"{about.path}/{wish.name}", data=wish.name.encode())
        more = dict(wish.more)
        if "of" in more:
            more["of"] = self.id_of("volume", more["of"])
            if more["of"] is None:
                return None
        body = about.body(self, wish.name, more)
        answer = self.client.once("POST", about.service, about.path, body if wish.kind == "stack" else {about.key: body})
        if answer.outcome == ACCEPTED:
            self.ids[wish.kind, wish.name] = about.one(answer.body)["id"]
        return answer

    def delete(self, wish):
        about = things.KINDS[wish.kind]
        at = wish.name if wish.kind == "object" else self.id_of(wish.kind, wish.name)
        if at is None:
            return None
        if wish.kind == "stack":
            at = f"{wish.name}/{at}"
        return self.client.once("DELETE", about.service, f"{about.path}/{at}")

    def pause(self, wish):
        return self._act(wish, "pause")

    def unpause(self, wish):
        return self._act(wish, "unpause")

    def migrate(self, wish):
        return self._act(wish, "migrate", by=self.admin)

    def live(self, wish):
        return self._act(wish, "os-migrateLive", {"host": None, "block_migration": "auto"}, by=self.admin)

    def _act(self, wish, action, how=None, by=None):
        server = self.id_of("server", wish.name)
        client = by or self.client
        return server and client.once("POST", "compute", f"/servers/{server}/action", {action: how})

    def attach(self, wish):
        server, volume = self.id_of("server", wish.more["to"]), self.id_of("volume", wish.name)
        body = {"volumeAttachment": {"volumeId": volume}}
        return self.client.once("POST", "compute", f"/servers/{server}/os-volume_attachments", body)

    def detach(self, wish):
        server, volume = self.id_of("server", wish.more["to"]), self.id_of("volume", wish.name)
        return self.client.once("DELETE", "compute", f"/servers/{server}/os-volume_attachments/{volume}")

    def sweep(self, before):
        """Deletes what is left of rounds before this one, because what it was made for was away when it was to go."""
        for kind in ("snapshot", "stack", *(kind for kind in things.KINDS if kind not in ("snapshot", "stack"))):
            for name in things.listed(self.client, kind)[0]:
                number = round_of(self.name, name)
                # A server is made use of for a round longer.
                if number is not None and number < before - (kind == "server"):
                    wish = Wish(0, "delete", kind, name)
                    answer = self.do(wish)
                    if answer is not None:
                        self.book.note("delete", kind, name, answer, {})

    def id_of(self, kind, name):
        """By what was answered, or by its name where the answer was lost."""
        if (kind, name) not in self.ids:
            found = things.listed(self.client, kind)[0].get(name)
            if found is None:
                return None
            self.ids[kind, name] = found["id"]
        return self.ids[kind, name]


def round_of(project, name):
    """The round in which a thing was made; none: it is no thing of the load."""
    parts = (name or "").split("-")
    return int(parts[1]) if len(parts) == 3 and parts[0] == project and parts[1].isdigit() else None
