"""One kill under load after the other, and after each what must hold."""

import threading
import time

import kills
import plan
import verdict
from ground import Ground


class Torture:
    """A cluster that stands, with its load."""

    def __init__(self, cluster, seed, say=print, quiet=10.0):
        self.cluster, self.seed, self.say, self.quiet = cluster, seed, say, quiet
        say(f"torture: seed {seed}")
        self.ground = Ground(cluster, say)
        self.took = {}

    def all(self, kinds, each):
        """Gives what did not hold, by round."""
        wrong = []
        try:
            for number, kind in enumerate(plan.kinds_of(self.seed, kinds, each)):
                said = self.round(number, kind)
                wrong += [f"seed {self.seed} round {number} ({kind}): {each}" for each in said]
                # What stays wrong would be wrong of every round that follows.
                if said:
                    break
            if not wrong:
                wrong += [f"seed {self.seed} at the end: {each}" for each in self.away(number + 2)]
        finally:
            self.ground.bystanders.end()
        return wrong + [f"seed {self.seed}: {each}" for each in self.tell()]

    def round(self, number, kind):
        kill = plan.kill_of(self.seed, number, kind)
        projects = self.ground.projects
        self.say(f"round {number}: {kill}")
        since = time.monotonic()
        load = [
            threading.Thread(target=project.run, args=(script,), daemon=True)
            for project in projects
            for script in plan.scripts_of(self.seed, number, project.name)
        ]
        for one in load:
            one.start()
        time.sleep(kill.after)
        self.say(f"  kill {kill.kind} {kill.victim}")
        bring_back = kills.begin(self.cluster, kill)
        bring_back(self.cluster, kill)
        self.say("  it is back")
        for one in load:
            one.join(timeout=180)
        said = ["a request hangs" for one in load if one.is_alive()]
        took, more, last = verdict.settle(self.cluster, self.ground.admin, projects, self.quiet, kind)
        harmed, silence = verdict.of_bystanders(self.ground.bystanders, since, time.monotonic())
        said += more + harmed
        for project in projects:
            said += project.book.unclear
        self.took.setdefault(kind, []).append(took)
        if last:
            self.say(f"  last of all: {'; '.join(last)}")
        self.say(f"  quiet after {took:.1f} s, bystanders silent for {silence:.1f} s, round {time.monotonic() - since:.1f} s; {'; '.join(said) or 'all holds'}")
        if not said:
            for project in projects:
                project.sweep(number)
        return said

    def away(self, number):
        """Everything of the load goes, and nothing of it is left."""
        for project in self.ground.projects:
            project.sweep(number)
        took, said, _ = verdict.settle(self.cluster, self.ground.admin, self.ground.projects, max(self.quiet, 30), "nothing")
        self.say(f"everything is deleted, after {took:.1f} s; {'; '.join(said) or 'nothing is left'}")
        return said

    def tell(self):
        """Says what came of all requests; gives what is wrong with that."""
        for kind, took in sorted(self.took.items()):
            self.say(f"{kind}: {len(took)} kills, quiet after {max(took):.1f} s at most")
        counts = {}
        for project in self.ground.projects:
            for key, count in project.book.counts.items():
                counts[key] = counts.get(key, 0) + count
        for (verb, kind, outcome), count in sorted(counts.items()):
            self.say(f"{verb} {kind}: {count} {outcome}")
        return verdict.of_counts(counts)
