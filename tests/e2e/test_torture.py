"""Each kind of thing is killed once under load; `make torture` does it often, and by any seed."""

import shutil
import sys

import pytest

from cloud import ROOT

sys.path.insert(0, str(ROOT / "tests/torture"))

from field import Field  # noqa: E402
from torture import QUIET, Torture, place  # noqa: E402

pytestmark = pytest.mark.cluster

# How long may be waited where other work goes on; how long it took is printed beside the aim.
PATIENCE = 60


@pytest.fixture
def field():
    folder = place()
    field = Field(folder)
    try:
        field.up()
        yield field
    finally:
        field.keep_logs()
        field.clean()
        shutil.rmtree(folder)


def test_whatever_is_killed_under_load_what_was_accepted_ends_as_asked_and_bystanders_notice_nothing(field):
    torture = Torture(field, seed=1, quiet=PATIENCE)
    well = torture.run(range(len(torture.kinds)))
    torture.report()
    print(f"aim: in order after {QUIET} s")
    assert well, f"`tests/torture/run --seed 1 --turns 1 --quiet {PATIENCE}` does it again"
