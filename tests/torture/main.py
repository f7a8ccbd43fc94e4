"""tests/torture/run [--seed N] [--rounds N] [--kinds api,host]: kills parts of a cluster under load, and looks what came of it.

The same seed asks for the same, in the same order, and kills the same at the same moments. What the machine makes of it in
between is its own."""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from random import SystemRandom

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1] / "e2e")]

from cluster import Cluster
from cloud import run
from plan import KINDS
from rounds import Torture


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(1_000_000))
    parser.add_argument("--rounds", type=int, default=20, help="kills of each kind")
    parser.add_argument("--kinds", default=",".join(KINDS), help="which of: " + ", ".join(KINDS))
    parser.add_argument("--quiet", type=float, default=10, help="seconds after which everything must hold")
    wanted = parser.parse_args()
    kinds = wanted.kinds.split(",")
    unknown = set(kinds) - set(KINDS)
    if unknown or wanted.rounds < 1:
        parser.error(f"no such kinds: {', '.join(sorted(unknown))}" if unknown else "no rounds")
    folder = tempfile.mkdtemp(prefix="nephos-torture-", dir="/tmp")
    os.chmod(folder, 0o755)
    cluster = Cluster(folder)
    began = time.monotonic()

    def say(words):
        print(f"{time.monotonic() - began:7.1f} {words}", flush=True)

    try:
        cluster.do("start")
        wrong = Torture(cluster, wanted.seed, say, wanted.quiet).all(kinds, wanted.rounds)
    finally:
        cluster.keep_logs()
        cluster.clean()
        run("rm", "-rf", folder)
    for each in wrong:
        say(f"WRONG: {each}")
    again = f"tests/torture/run --seed {wanted.seed} --rounds {wanted.rounds} --kinds {wanted.kinds}"
    say(f"{'something does not hold' if wrong else 'all holds'}; again: {again}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
