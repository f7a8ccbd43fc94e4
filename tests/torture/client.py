"""A client that lives through what is killed under it: every request has an outcome, and no request is sent twice."""

import time

import requests

# How long something that only looks is asked again.
PATIENCE = 40
ACCEPTED, REFUSED, UNKNOWN = "accepted", "refused", "unknown"


class Gone(Exception):
    """The cloud did not answer for as long as anybody waits."""


class Answer:
    def __init__(self, status, body):
        self.status, self.body = status, body

    @property
    def outcome(self):
        """A broken connection and a failure of the server may mean either: whoever asked has to look."""
        if 200 <= self.status < 300:
            return ACCEPTED
        return REFUSED if 400 <= self.status < 500 else UNKNOWN

    @property
    def message(self):
        """What a refusal says; empty: nothing."""
        if isinstance(self.body, dict):
            for part in (self.body, *self.body.values()):
                if isinstance(part, dict) and isinstance(part.get("message"), str):
                    return part["message"]
        return self.body.strip() if isinstance(self.body, str) else ""


class Client:
    """Somebody in a project."""

    def __init__(self, url, ca, user, password, project):
        self.url, self.ca = url, str(ca)
        self.user, self.password, self.project = user, password, project
        self.token, self.project_id, self.endpoints = None, None, {}

    def log_in(self):
        end = time.monotonic() + PATIENCE
        body = {"auth": {
            "identity": {"methods": ["password"], "password": {
                "user": {"name": self.user, "domain": {"id": "default"}, "password": self.password}}},
            "scope": {"project": {"name": self.project, "domain": {"id": "default"}}},
        }}
        while time.monotonic() < end:
            try:
                answer = requests.post(f"{self.url}/identity/v3/auth/tokens", json=body, verify=self.ca, timeout=10)
                if answer.status_code == 201:
                    token = answer.json()["token"]
                    self.token, self.project_id = answer.headers["X-Subject-Token"], token["project"]["id"]
                    self.endpoints = {
                        service["type"]: next(at["url"] for at in service["endpoints"] if at["interface"] == "public")
                        for service in token["catalog"]
                    }
                    return
                if answer.status_code < 500:
                    raise Gone(f"no token for {self.user}: {answer.status_code} {answer.text[:300]}")
            except requests.RequestException:
                pass
            time.sleep(0.3)
        raise Gone(f"no token for {self.user} within {PATIENCE} s")

    def once(self, method, service, path, body=None, data=None):
        """One request; its token is renewed if it has ended."""
        if self.token is None:
            self.log_in()
        for _ in range(2):
            headers = {"X-Auth-Token": self.token, "OpenStack-API-Version": "compute 2.96"}
            try:
                got = requests.request(
                    method, self.endpoints[service] + path, json=body, data=data, headers=headers, verify=self.ca, timeout=40
                )
            except requests.RequestException as why:
                return Answer(0, type(why).__name__)
            if got.status_code != 401:
                break
            self.log_in()
        try:
            return Answer(got.status_code, got.json())
        except ValueError:
            return Answer(got.status_code, got.text)

    def look(self, service, path):
        """Something that is only read, asked until there is an answer. None: it is not there."""
        end = time.monotonic() + PATIENCE
        while True:
            answer = self.once("GET", service, path)
            if answer.outcome == ACCEPTED:
                return answer.body
            if answer.status == 404:
                return None
            if answer.outcome == REFUSED or time.monotonic() > end:
                raise Gone(f"GET {service} {path}: {answer.status} {answer.message}")
            time.sleep(0.3)
