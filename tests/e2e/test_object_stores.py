"""Objects whose bytes are in a bucket of a real Ceph: as in files, nothing half there, and nothing left over."""

import hashlib
import http.client
import json
import os
import signal
import subprocess
import threading
import uuid
from pathlib import Path

import boto3
import pytest
import swiftclient
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from cloud import ROOT, is_open, wait_for
from conftest import make
from test_objects import MIB, empty, s3, swift

BUCKET = "nephos-objects"


class Ceph:
    """What `tests/with-ceph` starts, and its gateway's bucket as the gateway itself shows it."""

    def __init__(self):
        told = "env | grep NEPHOS_TEST_; echo; exec cat"
        self.child = subprocess.Popen(
            [ROOT / "tests/with-ceph", "sh", "-c", told], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        env = {}
        while line := self.child.stdout.readline().strip():
            name, _, value = line.partition("=")
            env[name.removeprefix("NEPHOS_TEST_")] = value
        assert "S3" in env, "Ceph does not start"
        self.url, self.access, self.secret = env["S3"], env["S3_ACCESS"], env["S3_SECRET"]
        self.gateway, self.pid = env["GATEWAY"], Path(env["GATEWAY"] + ".pid")
        self.client = boto3.client(
            "s3", endpoint_url=self.url, region_name="us-east-1", aws_access_key_id=self.access,
            aws_secret_access_key=self.secret, config=Config(s3={"addressing_style": "path"}),
        )
        self.client.create_bucket(Bucket=BUCKET)

    def config(self, **changes):
        keys = {"endpoint": self.url, "bucket": BUCKET, "access_key": self.access, "secret_key": self.secret, **changes}
        return "[object.bucket]\n" + "".join(f"{key} = '{value}'\n" for key, value in keys.items())

    def blobs(self):
        """Names and sizes of all objects."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="objects/")
        return {found["Key"]: found["Size"] for page in pages for found in page.get("Contents", [])}

    def unfinished(self):
        return [found["Key"] for found in self.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])]

    def kill(self):
        os.kill(int(self.pid.read_text()), signal.SIGKILL)
        wait_for("the gateway is gone", lambda: not self.answers(), 10)

    def start(self):
        self.again = subprocess.Popen([self.gateway], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        wait_for("the gateway answers", self.answers, 30)

    def answers(self):
        return is_open("127.0.0.1", int(self.url.rsplit(":", 1)[1]))

    def stop(self):
        self.child.stdin.close()
        self.child.wait(30)


@pytest.fixture(scope="module")
def ceph():
    ceph = Ceph()
    try:
        yield ceph
    finally:
        ceph.stop()


@pytest.fixture(scope="module")
def bucketed(ceph):
    """A cloud whose objects are in a bucket."""
    cloud = make(8777, simulate=1, config=f"[object]\ns3_listen = '127.0.0.1:8778'\n{ceph.config()}")
    try:
        cloud.up()
        yield cloud
        nothing_left(ceph)
        # The bytes were never in files of this machine.
        assert not any((cloud.state / "objects").rglob("*"))
        assert ceph.secret not in cloud.log()
    finally:
        cloud.clean()


@pytest.fixture
def clean(bucketed):
    yield
    assert bucketed.fsck() == []
    empty(bucketed)


def nothing_left(ceph, blobs=0):
    wait_for("nothing is left over", lambda: len(ceph.blobs()) == blobs and ceph.unfinished() == [], 30)


def pattern(size):
    """Bytes that are like none of their neighbours."""
    return os.urandom(MIB + 1) * (size // MIB + 1)


def test_the_same_bytes_by_both_doors(bucketed, ceph, clean):
    client, amazon = swift(bucketed), s3(bucketed)
    client.put_container("c")
    sizes = [0, 1, 8 * MIB, 8 * MIB + 1, 20 * MIB]
    for size in sizes:
        data = pattern(size)[:size]
        assert client.put_object("c", f"swift {size}", data) == hashlib.md5(data).hexdigest()
        assert amazon.get_object(Bucket="c", Key=f"swift {size}")["Body"].read() == data
        amazon.put_object(Bucket="c", Key=f"s3 {size}", Body=data)
        head, body = client.get_object("c", f"s3 {size}")
        assert body == data and int(head["content-length"]) == size
        for first, last in ((0, 0), (8 * MIB - 2, 8 * MIB + 2), (size - 1, size - 1)):
            if 0 <= first <= last < size:
                span, part = f"bytes={first}-{last}", data[first : last + 1]
                assert client.get_object("c", f"swift {size}", headers={"Range": span})[1] == part
                assert amazon.get_object(Bucket="c", Key=f"s3 {size}", Range=span)["Body"].read() == part
    blobs = ceph.blobs()
    assert sorted(blobs.values()) == sorted(sizes[1:] * 2)
    for name in blobs:
        uuid.UUID(name.removeprefix("objects/"))  # no name of a user's


def test_parts_segments_and_copies(bucketed, ceph, clean, tmp_path):
    client, amazon, before = swift(bucketed), s3(bucketed), ceph.blobs().keys()
    client.put_container("bkt")
    source = tmp_path / "big"
    data = pattern(70 * MIB)[: 70 * MIB]
    source.write_bytes(data)
    config = TransferConfig(multipart_threshold=16 * MIB, multipart_chunksize=16 * MIB, max_concurrency=3)
    amazon.upload_file(str(source), "bkt", "big", Config=config)
    assert client.get_object("bkt", "big")[1] == data
    amazon.download_file("bkt", "big", str(tmp_path / "back"), Config=config)
    assert (tmp_path / "back").read_bytes() == data
    assert len(ceph.blobs().keys() - before) == 5  # the parts, as they came
    amazon.copy_object(Bucket="bkt", Key="copy", CopySource={"Bucket": "bkt", "Key": "big"})
    client.delete_object("bkt", "big")
    assert client.get_object("bkt", "copy", headers={"Range": f"bytes={16 * MIB - 3}-{16 * MIB + 2}"})[1] == data[16 * MIB - 3 : 16 * MIB + 3]

    segments = []
    for number, part in enumerate((data[: 9 * MIB], data[9 * MIB : 10 * MIB])):
        etag = client.put_object("bkt", f"s/{number}", part)
        segments.append({"path": f"/bkt/s/{number}", "etag": etag, "size_bytes": len(part)})
    client.put_object("bkt", "static", json.dumps(segments), query_string="multipart-manifest=put")
    client.put_object("bkt", "dynamic", b"", headers={"X-Object-Manifest": "bkt/s/"})
    for name in ("static", "dynamic"):
        assert client.get_object("bkt", name)[1] == data[: 10 * MIB]
    client.delete_object("bkt", "static", query_string="multipart-manifest=delete")
    client.delete_object("bkt", "dynamic")
    client.delete_object("bkt", "copy")


def test_what_is_overwritten_or_deleted_goes_from_the_bucket(bucketed, ceph, clean):
    client = swift(bucketed)
    client.put_container("c")
    for number in range(30):
        client.put_object("c", f"o{number % 10}", f"version {number}".encode())
    nothing_left(ceph, blobs=10)
    for number in range(10):
        assert client.get_object("c", f"o{number}")[1] == f"version {20 + number}".encode()
        client.delete_object("c", f"o{number}")
    with pytest.raises(swiftclient.ClientException) as failed:
        client.put_object("c", "bad", b"x" * (9 * MIB), etag="0" * 32)
    assert failed.value.http_status == 422
    nothing_left(ceph)


def begin(client, size):
    """A PUT of which most has been sent."""
    connection = http.client.HTTPConnection("127.0.0.1", 8777, timeout=120)
    connection.putrequest("PUT", client.url.split("8777", 1)[1] + "/c/o")
    for name, value in (("X-Auth-Token", client.token), ("Content-Length", str(size))):
        connection.putheader(name, value)
    connection.endheaders()
    connection.send(b"x" * (size - 1))
    return connection


def test_a_kill_in_the_middle_of_a_put_leaves_the_old_object(bucketed, ceph, clean):
    client = swift(bucketed)
    client.put_container("c")
    client.put_object("c", "o", b"old")
    for size, parts in ((4 * MIB, False), (30 * MIB, True)):
        connection = begin(client, size)
        if parts:
            wait_for("parts are in the bucket", ceph.unfinished, 20)
        bucketed.kill()
        connection.close()
        bucketed.up()
        client = swift(bucketed)
        assert client.get_object("c", "o")[1] == b"old"
        nothing_left(ceph, blobs=1)


def test_a_kill_in_the_middle_of_parts_loses_no_part_that_was_acknowledged(bucketed, ceph, clean):
    amazon = s3(bucketed)
    amazon.create_bucket(Bucket="bkt")
    where = {"Bucket": "bkt", "Key": "m"}
    where["UploadId"] = amazon.create_multipart_upload(**where)["UploadId"]
    first, sent = pattern(9 * MIB)[: 9 * MIB], []
    parts = [{"PartNumber": 1, "ETag": amazon.upload_part(**where, PartNumber=1, Body=first)["ETag"]}]

    def second():
        try:
            sent.append(amazon.upload_part(**where, PartNumber=2, Body=os.urandom(100 * MIB)))
        except (ClientError, BotoCoreError) as why:
            sent.append(why)

    thread = threading.Thread(target=second)
    thread.start()
    wait_for("it is being written", lambda: sent or ceph.unfinished(), 30, 0.005)
    bucketed.kill()
    thread.join(60)
    # What a writer leaves that was given up before its last request arrived.
    stray = f"objects/{uuid.uuid4()}"
    ceph.client.put_object(Bucket=BUCKET, Key=stray, Body=b"late")
    ceph.client.create_multipart_upload(Bucket=BUCKET, Key=f"objects/{uuid.uuid4()}")
    bucketed.up()
    assert 1 in {part["PartNumber"] for part in amazon.list_parts(**where)["Parts"]}
    parts.append({"PartNumber": 3, "ETag": amazon.upload_part(**where, PartNumber=3, Body=b"end")["ETag"]})
    amazon.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})
    assert swift(bucketed).get_object("bkt", "m")[1] == first + b"end"
    nothing_left(ceph, blobs=2)


def test_a_gateway_that_dies_is_said_and_comes_back(bucketed, ceph, clean):
    client, amazon = swift(bucketed), s3(bucketed)
    client.put_container("c")
    data = pattern(20 * MIB)[: 20 * MIB]
    client.put_object("c", "kept", data)
    connection = begin(client, 30 * MIB)
    wait_for("parts are in the bucket", ceph.unfinished, 20)
    ceph.kill()
    try:
        connection.send(b"x")
        answer = connection.getresponse()
        assert answer.status == 503 and b"store does not answer" in answer.read()
        with pytest.raises(swiftclient.ClientException) as failed:
            client.put_object("c", "small", b"x")
        assert failed.value.http_status == 503
        with pytest.raises(swiftclient.ClientException) as failed:
            client.get_object("c", "kept")
        assert failed.value.http_status == 503
        with pytest.raises(ClientError) as failed:
            amazon.put_object(Bucket="c", Key="small", Body=b"x")
        assert failed.value.response["Error"]["Code"] == "ServiceUnavailable"
        assert "store does not answer" in failed.value.response["Error"]["Message"]
        # What needs no bytes works.
        assert [found["name"] for found in client.get_container("c")[1]] == ["kept"]
        told = bucketed.nephos("doctor", check=False).stdout
        assert BUCKET in told and "cannot list" in told, told
        # A start does not fail for what passes.
        bucketed.down()
        bucketed.up()
        client = swift(bucketed)
    finally:
        ceph.start()
    assert client.get_object("c", "kept")[1] == data
    client.put_object("c", "small", b"x")
    assert [found["name"] for found in client.get_container("c")[1]] == ["kept", "small"]
    nothing_left(ceph, blobs=2)


@pytest.mark.parametrize(
    "wrong, help",
    [({"bucket": "not-there"}, "make the bucket"), ({"secret_key": "wrong-secret"}, "`secret_key`"), ({"endpoint": "nowhere"}, "`endpoint`")],
)
def test_a_bucket_that_cannot_be_used_is_said_at_the_start(ceph, wrong, help):
    cloud = make(8779, simulate=1, config=ceph.config(**wrong))
    try:
        failed = cloud.nephos("up", "--detach", "--simulate", 1, check=False)
        assert failed.returncode != 0
        log = cloud.state / "nephos.log"
        said = failed.stdout + failed.stderr + (log.read_text() if log.exists() else "")
        assert help in said and "object" in said, said
        assert "wrong-secret" not in said and ceph.secret not in said
    finally:
        cloud.clean()
