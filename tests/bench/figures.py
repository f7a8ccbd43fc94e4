"""How figures are taken and shown."""

import json
import subprocess
from pathlib import Path

from cloud import NEPHOS


def show(what, figure, unit, aim):
    print(f"{what:<58} {figure:>10.1f} {unit:<6} aim {aim}", flush=True)


def load(*arguments, within=()):
    """What the load program beside the binary measured."""
    program = NEPHOS.with_name("nephos-bench")
    done = subprocess.run([*within, program, *arguments], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def rss_mib(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024
