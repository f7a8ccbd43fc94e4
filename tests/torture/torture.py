"""One thing after another is killed while ordinary calls go on; after each, everything must be as it was asked for."""

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1] / "e2e")]

from bystanders import Bystanders  # noqa: E402
from client import Client  # noqa: E402
from field import Field  # noqa: E402
from kinds import KINDS, Strike  # noqa: E402
from ledger import Ledger  # noqa: E402
from load import Load  # noqa: E402

# Seconds of quiet, from when what was killed is there again and nobody asks for more.
QUIET = 10


class Torture:
    def __init__(self, field, seed, kinds=tuple(KINDS), callers=3, quiet=QUIET):
        self.field, self.seed, self.kinds, self.quiet = field, seed, tuple(kinds), quiet
        self.bystanders, self.ledger = Bystanders(field), Ledger()
        self.client = Client(field)
        self.load = Load(field, self.ledger, seed, callers)
        self.counts, self.took, self.failed = Counter(), defaultdict(list), []

    def kind(self, number):
        """Each kind once in as many rounds as there are kinds, in an order of its own each time."""
        turn, at = divmod(number, len(self.kinds))
        return random.Random(f"{self.seed}/turn/{turn}").sample(self.kinds, len(self.kinds))[at]

    def round(self, number):
        """What is wrong after it."""
        strike = Strike(self.field, self.kind(number), random.Random(f"{self.seed}/round/{number}"))
        self.bystanders.begin()
        before = self.ledger.answers.copy()
        began = time.monotonic()
        self.load.go()
        time.sleep(strike.before)
        self.load.disturbed.set()
        strike.happen()
        back = time.monotonic()
        time.sleep(strike.after)
        self.load.pause()
        stopped = time.monotonic()
        left = self.settle(strike)
        took = time.monotonic() - stopped
        wrong = [*self.ledger.take_wrong(), *left, *self.bystanders.judge(strike)]
        self.counts[strike.kind] += 1
        self.took[strike.kind].append(took)
        made = self.ledger.answers - before
        print(f"round {number}: {strike} before {strike.before:.1f} s, back after {back - began - strike.before:.1f} s, "
              f"{made['accepted']} accepted, {made['lost']} lost, in order after {took:.1f} s", flush=True)
        if self.last:
            print(f"  last in order: {self.last}", flush=True)
        for host, _ in self.bystanders.servers.items():
            if not strike.spares((host,)):
                self.bystanders.wait_for(host)
        return wrong

    def settle(self, strike=None):
        """Waits until all is in order; what is not when the time of quiet is over."""
        end = time.monotonic() + self.quiet
        self.last = ""
        self.load.adopt(self.client.views())
        left = {thing.id: (thing, "") for thing in self.ledger.all()}
        while True:
            late = time.monotonic() > end
            left = self.ledger.unfinished(self.client, [thing for thing, _ in left.values()])
            words = [said for _, said in left.values()] or self.findings(strike)
            self.last = words[0] if words else self.last
            if not words or late:
                break
            time.sleep(0.2)
        # The next round begins without what this one left behind.
        for thing, _ in left.values():
            self.ledger.give_up(thing)
        return words

    def findings(self, strike):
        found = [str(finding) for finding in self.field.fsck()]
        return found or (self.bystanders.unwell(strike) if strike else [])

    def run(self, rounds, go_on=False):
        """Whether all of these rounds went well."""
        for number in rounds:
            try:
                wrong, over = self.round(number), not go_on
            except (AssertionError, OSError) as fault:  # something did not come back: there is nothing to go on with
                wrong, over = [*self.ledger.take_wrong(), str(fault)], True
            for error in self.ledger.take_errors():
                print(f"  ended with an error: {error}", flush=True)
            if wrong:
                self.failed.append(number)
                self.say(number, wrong)
                if over:
                    return False
        self.load.end()
        left = self.settle()
        for words in left:
            print(f"  WRONG at the end: {words}", flush=True)
        return not self.failed and not left

    def say(self, number, wrong):
        for words in wrong:
            print(f"  WRONG: {words}", flush=True)
        again = f"tests/torture/run --seed {self.seed} --kinds {' '.join(self.kinds)}"
        print(f"  again: {again} --from {number} --rounds 1, or with all before it: --rounds {number + 1}", flush=True)

    def report(self):
        print(f"seed {self.seed}: {sum(self.counts.values())} rounds, {len(self.failed)} failed; answers {dict(self.ledger.answers)}")
        for kind in self.kinds:
            if took := self.took[kind]:
                print(f"  {kind:<10} {len(took):>3} times, in order after {sorted(took)[len(took) // 2]:.1f} s, at most {max(took):.1f} s")


def place():
    folder = tempfile.mkdtemp(prefix="nephos-torture-", dir="/tmp")
    os.chmod(folder, 0o755)  # QEMU's user passes through
    return folder


def main():
    options = argparse.ArgumentParser(description=__doc__, prog="tests/torture/run")
    options.add_argument("--seed", type=int, default=int(time.time()), help="the same seed does the same again")
    options.add_argument("--turns", type=int, default=20, help="how often each kind is hit (20)")
    options.add_argument("--rounds", type=int, help="how many rounds instead")
    options.add_argument("--from", type=int, default=0, dest="first", help="number of the first round")
    options.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS), help="what is hit")
    options.add_argument("--callers", type=int, default=3, help="how many call at a time (3)")
    options.add_argument("--quiet", type=float, default=QUIET, help=f"seconds until all must be in order ({QUIET})")
    options.add_argument("--go-on", action="store_true", help="also after a round that failed")
    wish = options.parse_args()
    rounds = wish.rounds or wish.turns * len(wish.kinds)
    folder = place()
    field = Field(folder)
    print(f"seed {wish.seed}: {rounds} rounds of {', '.join(wish.kinds)}", flush=True)
    try:
        field.up()
        torture = Torture(field, wish.seed, wish.kinds, wish.callers, wish.quiet)
        well = torture.run(range(wish.first, wish.first + rounds), wish.go_on)
        torture.report()
    finally:
        field.keep_logs()
        field.clean()
        shutil.rmtree(folder)
    sys.exit(0 if well else 1)


if __name__ == "__main__":
    main()
