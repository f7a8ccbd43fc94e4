"""Calls as the ordinary client makes them, each once; an answer that is lost is said to be lost."""

import keystoneauth1.exceptions
from keystoneauth1.exceptions import ClientException

from ledger import SERVICES

# A gateway's word for: nobody is there, or nobody answered.
LOST = {0, 502, 503, 504}
VERSIONS = {"compute": "2.90", "block_storage": "3.60", "network": None}


class Answer:
    def __init__(self, status, body=None, request="", words=""):
        self.status, self.body, self.request, self.words = status, body or {}, request, words

    @property
    def good(self):
        return 200 <= self.status < 300

    @property
    def lost(self):
        return self.status in LOST

    def __str__(self):
        return f"{self.status or 'no answer'} {self.words[:300]}"


class Client:
    def __init__(self, field):
        self.user, self.admin = field.sdk(), field.sdk("nephos-admin")

    def ask(self, service, method, path, body=None, admin=False, version=None):
        proxy = getattr(self.admin if admin else self.user, service)
        try:
            answer = proxy.request(
                path, method, json=body, raise_exc=False, microversion=version or VERSIONS[service], timeout=60
            )
        except keystoneauth1.exceptions.HttpError as fault:
            return Answer(fault.http_status or 0, words=f"of identity: {fault}")
        except ClientException as fault:
            return Answer(0, words=str(fault))
        try:
            said = answer.json() if answer.content else {}
        except ValueError:
            said = {}
        request = answer.headers.get("x-openstack-request-id", "")
        return Answer(answer.status_code, said, request, answer.text if answer.status_code >= 400 else "")

    def view(self, thing):
        """What it is, None if it is gone; and why nobody knows, if so."""
        service, place = SERVICES[thing.kind]
        answer = self.ask(service, "GET", f"/{place}/{thing.id}")
        if answer.good:
            return answer.body[thing.kind], ""
        return None, "" if answer.status == 404 else str(answer)

    def views(self):
        """All things of all kinds, by their ids; a kind that nobody can list just now is left out."""
        found = {}
        for kind, (service, place) in SERVICES.items():
            listed = self.ask(service, "GET", f"/{place}/detail" if kind in ("server", "volume") else f"/{place}")
            found[kind] = {view["id"]: view for view in listed.body.get(place.replace("-", "_"), [])}
        return found

    def error(self, thing, view):
        """The clear words by which a request failed; none if nothing says so."""
        if view is None:
            return ""
        if thing.kind == "server":
            return self.fault(thing, view) or self.failed_action(thing)
        if thing.kind == "volume" and view["status"].startswith("error"):
            said = self.ask("block_storage", "GET", f"/messages?resource_uuid={thing.id}")
            return "; ".join(message["user_message"] for message in said.body.get("messages", []))
        return ""

    @staticmethod
    def fault(thing, view):
        return view.get("fault", {}).get("message", "") if view["status"] == "ERROR" else ""

    def failed_action(self, thing):
        """A server that is as it was before says of its last request why."""
        for request in reversed(thing.requests):
            answer = self.ask("compute", "GET", f"/servers/{thing.id}/os-instance-actions/{request}")
            action = answer.body.get("instanceAction", {})
            if action.get("message") == "Error":
                details = [event.get("details") for event in action.get("events", []) if event.get("details")]
                return f"{action['action']}: {'; '.join(details)}" if details else ""
        return ""
