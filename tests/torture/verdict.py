"""What must hold once it has been quiet for a moment. Each function gives what does not hold, in words."""

import hashlib
import time

import things
from load import round_of

# A bystander's traffic may stand still for so long, which is more than the machine of a test takes by itself.
STILL = 2.0
# What was killed may have taken a guest with it that was just being made; nothing else may make a server or a stack fail.
HARMFUL = ("host", "libvirtd")
# Of all requests so many may come to nothing by a failure of the cloud, and of each sort of which there were so many, so many.
LOST, SORT, OF_SORT = 0.1, 8, 0.35


def all_of(cluster, admin, projects, kind):
    """Everything that has to come to rest; asked again until it is empty, or time is up. `kind`: what was killed."""
    said = []
    for project in projects:
        said += of_project(project) + failures(project, kind)
    said += of_guests(cluster, admin.look("compute", "/servers/detail?all_tenants=1")["servers"])
    if not said:
        said += [f"fsck: {finding}" for finding in cluster.fsck()]
    return said


def of_project(project):
    said = []
    found = {}
    for kind in things.KINDS:
        found[kind], twice = things.listed(project.client, kind)
        said += [f"{kind} {name} is there twice" for name in twice if round_of(project.name, name) is not None]
    for (kind, name), may in project.book.there.items():
        one = found[kind].get(name)
        if (one is not None) not in may:
            how = "was accepted and is not there" if one is None else f"is deleted and still there: {at_rest(kind, one) or 'at rest'}"
            said.append(f"{kind} {name} {how}")
    for kind, of_kind in found.items():
        for name, one in of_kind.items():
            said += [f"{kind} {name} {why}" for why in (at_rest(kind, one), silent_failure(kind, one)) if why]
    for name, may in project.book.states.items():
        one = found["server"].get(name)
        if one is not None and one["status"] not in may | {"ERROR"}:
            said.append(f"server {name} is {one['status']}, and should be {' or '.join(sorted(may))}")
    said += of_volumes(project, found)
    return said


def at_rest(kind, one):
    """Why a thing is not at rest; None: it is."""
    about = things.KINDS[kind]
    if about.state is None:
        return None
    if one.get("OS-EXT-STS:task_state"):
        return f"is in {one['OS-EXT-STS:task_state']}"
    return None if one[about.state] in about.rest else f"is {one[about.state]}"


def silent_failure(kind, one):
    """A failure that does not say why, or that nobody was told of."""
    if kind == "server" and one["status"] == "ERROR" and not one.get("fault", {}).get("message"):
        return "is in ERROR without a fault"
    if kind == "stack" and one["stack_status"].endswith("_FAILED") and not one.get("stack_status_reason"):
        return "failed without a reason"
    if kind in ("volume", "snapshot") and one["status"] == "error":
        return "is in error"
    if kind == "object" and one["hash"] != hashlib.md5(one["name"].encode()).hexdigest():
        return "has not the bytes that were sent"
    return None


def failures(project, kind):
    """Servers and stacks that failed although nothing was killed that can explain it. What failed before is known."""
    said = []
    for of, state in (("server", "status"), ("stack", "stack_status")):
        for name, one in things.listed(project.client, of)[0].items():
            if not (one[state] == "ERROR" or one[state].endswith("_FAILED")) or (of, name) in project.book.failed:
                continue
            if kind in HARMFUL:
                project.book.failed.add((of, name))
            else:
                why = one.get("stack_status_reason") or (one.get("fault") or {}).get("message")
                said.append(f"{of} {name} failed, and only {kind} was killed: {why}")
    return said


def of_counts(counts):
    """A cloud that fails most of what it is asked loses nothing either. A broken connection, a failure of the server and a
    refusal to make something are losses here; whether something can be paused or attached is the load's own guess."""
    said, sorts = [], {}
    for (verb, kind, outcome), count in counts.items():
        lost, asked = sorts.get((verb, kind), (0, 0))
        is_lost = outcome.startswith("unknown") or (verb == "create" and not outcome.startswith("accepted"))
        sorts[verb, kind] = lost + count * is_lost, asked + count
    everything, lost = sum(asked for _, asked in sorts.values()), sum(lost for lost, _ in sorts.values())
    if lost > everything * LOST:
        said.append(f"of {everything} requests {lost} came to nothing")
    for (verb, kind), (lost, asked) in sorts.items():
        if asked >= SORT and lost > asked * OF_SORT:
            said.append(f"{verb} {kind}: of {asked} {lost} came to nothing")
    return said


def of_volumes(project, found):
    """A volume and its server say the same of each other, and it is what was asked for."""
    said = []
    for name, one in found["volume"].items():
        users = {each["server_id"] for each in one["attachments"]}
        if (one["status"] == "in-use") != bool(users):
            said.append(f"volume {name} is {one['status']}, and {len(users)} servers have it")
    for (volume, server), may in project.book.plugged.items():
        block, guest = found["volume"].get(volume), found["server"].get(server)
        if block is None or guest is None:
            continue
        theirs = any(each["server_id"] == guest["id"] for each in block["attachments"])
        listed = project.client.look("compute", f"/servers/{guest['id']}/os-volume_attachments")
        ours = any(each["volumeId"] == block["id"] for each in listed["volumeAttachments"])
        if theirs != ours:
            said.append(f"volume {volume}: the block service says attached={theirs}, the server {ours}")
        elif ours not in may and not failed(project, guest, "attach_volume" if True in may else "detach_volume"):
            said.append(f"volume {volume}: attached={ours}, and its history has no failure")
    return said


def failed(project, server, action):
    """Whether the history of a server says why the last such action did not do what was asked."""
    actions = project.client.look("compute", f"/servers/{server['id']}/os-instance-actions")["instanceActions"]
    last = next((each for each in actions if each["action"] == action), None)
    return last is not None and bool(last["message"])


def of_guests(cluster, servers):
    """Each guest is there once, where its server is, and none is anybody's that is gone."""
    said = []
    guests = {}
    for (node, server), _pid in cluster.guests().items():
        guests.setdefault(server, []).append(node)
    for one in servers:
        server = one["id"]
        host, status = one.get("OS-EXT-SRV-ATTR:host"), one["status"]
        where = guests.get(server, [])
        if len(where) > 1:
            said.append(f"server {server} runs on {' and '.join(where)}")
        elif status in ("ACTIVE", "PAUSED") and not where:
            said.append(f"server {server} is {status} and has no guest")
        elif host and where and where != [host]:
            said.append(f"server {server} of {host} runs on {where[0]}")
    known = {one["id"] for one in servers}
    said += [f"a guest {server} on {' and '.join(where)} is of no server" for server, where in guests.items() if server not in known]
    return said


def of_bystanders(bystanders, since, until):
    """Bystanders kept their processes, and their traffic never stood still for long. And how long it did at most."""
    said, longest = [], 0
    for name, pid, before in bystanders.pids():
        if pid != before:
            said.append(f"bystander {name}: process {before} is {pid} now")
    for what, times in bystanders.traffic():
        during = [since, *(at for at in times if since < at < until), until]
        gap = max(later - sooner for sooner, later in zip(during, during[1:]))
        longest = max(longest, gap)
        if gap > STILL:
            said.append(f"bystander {what}: nothing for {gap:.1f} s")
    return said, longest


def settle(cluster, admin, projects, limit, kind):
    """How long it took until everything held, what did not at the end, and what was the last that came to hold."""
    began, last = time.monotonic(), []
    while True:
        said = all_of(cluster, admin, projects, kind)
        took = time.monotonic() - began
        if not said or took > limit:
            return took, said, last
        last = said
        time.sleep(0.3)
