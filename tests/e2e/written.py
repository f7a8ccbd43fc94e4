"""Writing in a guest, block by block, each one acknowledged before the next; and reading it back from the volume's file."""

import subprocess
import threading
import time

BLOCK = 512
COUNT = 120
# Each block says its number. What is echoed is on the disk, so says the guest's kernel.
WRITE = (
    "i=0; while [ $i -lt %d ]; do printf '%%08d' $i | sudo dd of=/dev/vdb bs=%d seek=$i conv=sync,notrunc,fsync 2>/dev/null "
    "&& echo $i; i=$((i+1)); done" % (COUNT, BLOCK)
)


def write_while(address, key, disturb):
    """Disturbs a guest that writes to its second disk; the numbers of the blocks that it calls written."""
    options = ("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR")
    writer = subprocess.Popen(
        ["ssh", "-i", str(key), *options, "-o", "BatchMode=yes", f"cirros@{address}", WRITE],
        stdout=subprocess.PIPE, text=True,
    )
    acknowledged = []

    def read():
        for line in writer.stdout:
            acknowledged.append(int(line))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        end = time.monotonic() + 60
        while len(acknowledged) < COUNT // 6:
            assert time.monotonic() < end and writer.poll() is None, f"the guest does not write: {acknowledged}"
            time.sleep(0.05)
        disturb()
        at_disturbance = len(acknowledged)
        assert writer.wait(180) == 0
        reader.join(10)
    finally:
        writer.kill()
    print(f"{at_disturbance} of {COUNT} blocks were written when it was over")
    # A guest may have to wait, but it hears of no error.
    assert acknowledged == list(range(COUNT))
    return acknowledged


def check_written(cloud, volume, acknowledged):
    """The volume's own file, which is raw, has every block that was acknowledged."""
    with open(cloud.state / "volumes" / "local" / f"volume-{volume.id}", "rb") as file:
        content = file.read(BLOCK * COUNT)
    lost = [at for at in acknowledged if content[at * BLOCK:][:BLOCK] != (b"%08d" % at).ljust(BLOCK, b"\0")]
    assert lost == []
