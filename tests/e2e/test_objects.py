"""Objects by the ordinary clients: the same bytes by every door, and nothing half there after a kill."""

import concurrent.futures
import hashlib
import http.client
import os
import re
import threading
import urllib.error
import urllib.request
from pathlib import Path

import boto3
import pytest
import swiftclient
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from swiftclient.service import SwiftService, SwiftUploadObject
from swiftclient.utils import generate_temp_url

from cloud import wait_for

MIB = 1 << 20


def swift(cloud, name="nephos"):
    """Swift's own client."""
    connection = cloud.sdk(name)
    url = connection.object_store.get_endpoint()
    return swiftclient.Connection(preauthurl=url, preauthtoken=connection.auth_token, retries=0)


def s3(cloud):
    """Amazon's client, by an access key of the demo user."""
    token = cloud.sdk()
    user, project = token.current_user_id, token.current_project_id
    path = f"/identity/v3/users/{user}/credentials/OS-EC2"
    status, _, made = cloud.get(path, token.auth_token, "POST", {"tenant_id": project})
    assert status == 201, made
    key = made["credential"]
    return boto3.client(
        "s3", endpoint_url="http://127.0.0.1:8778", region_name="us-east-1", aws_access_key_id=key["access"],
        aws_secret_access_key=key["secret"], config=Config(signature_version="s3v4", s3={"addressing_style": "path"}, retries={"max_attempts": 0}),
    )


def code(failed):
    return failed.value.response["Error"]["Code"]


def empty(cloud):
    """Deletes everything, by Swift."""
    client = swift(cloud)
    for container in client.get_account(full_listing=True)[1]:
        for thing in client.get_container(container["name"], full_listing=True)[1]:
            client.delete_object(container["name"], thing["name"])
        client.delete_container(container["name"])


@pytest.fixture(autouse=True)
def clean(objects):
    empty(objects)
    yield
    assert objects.fsck() == []


def files(cloud):
    return sorted(path.name for path in (cloud.state / "objects").glob("*/*"))


def status_of(url):
    try:
        with urllib.request.urlopen(url) as answer:
            return answer.status
    except urllib.error.HTTPError as refused:
        return refused.code


def test_the_openstack_command_stores_and_fetches(objects, tmp_path):
    source = tmp_path / "source"
    source.write_bytes(os.urandom(3 * MIB))
    objects.openstack("container", "create", "c")
    made = objects.openstack("object", "create", "c", str(source), "--name", "a/b", "-f", "json")
    assert made[0]["etag"] == hashlib.md5(source.read_bytes()).hexdigest()
    listed = objects.openstack("object", "list", "c", "--long", "-f", "json")
    assert listed[0]["Name"] == "a/b" and listed[0]["Bytes"] == 3 * MIB
    objects.openstack("object", "save", "c", "a/b", "--file", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == source.read_bytes()
    objects.openstack("object", "set", "--property", "color=red", "c", "a/b")
    assert objects.openstack("object", "show", "c", "a/b", "-f", "json")["properties"] == {"color": "red"}
    shown = objects.openstack("object", "store", "account", "show", "-f", "json")
    assert (shown["Containers"], shown["Objects"], shown["Bytes"]) == ("1", "1", str(3 * MIB))
    objects.openstack("object", "delete", "c", "a/b")
    objects.openstack("container", "delete", "c")


def test_the_swift_command_uploads_segments_and_downloads_the_whole(objects, tmp_path):
    connection = objects.sdk()
    options = {
        "auth_version": "3", "os_storage_url": connection.object_store.get_endpoint(), "os_auth_token": connection.auth_token,
    }
    source = tmp_path / "big"
    source.write_bytes(os.urandom(10 * MIB))
    with SwiftService(options=options) as service:
        assert "slo" in service.capabilities()["capabilities"]
        upload = SwiftUploadObject(str(source), object_name="big")
        done = service.upload("c", [upload], options={"segment_size": str(4 * MIB), "use_slo": True})
        assert all(step["success"] for step in done)
        down = list(service.download("c", ["big"], options={"out_file": str(tmp_path / "back")}))
        assert all(done["success"] for done in down), down
    assert (tmp_path / "back").read_bytes() == source.read_bytes()
    client = swift(objects)
    head = client.head_object("c", "big")
    assert head["x-static-large-object"] == "True" and int(head["content-length"]) == 10 * MIB
    client.delete_object("c", "big", query_string="multipart-manifest=delete")
    assert client.get_container("c_segments")[1] == []
    client.put_object("c", "dyn", b"", headers={"X-Object-Manifest": "c_segments/p"})
    for part in (b"one ", b"two"):
        client.put_object("c_segments", f"p{part[0]}{len(part)}", part)
    assert client.get_object("c", "dyn")[1] in (b"one two", b"twoone ")


def test_names_of_one_character_and_of_1024_bytes_by_both_doors(objects):
    client, amazon = swift(objects), s3(objects)
    client.put_container("c")
    for name in ("x", "ü" * 512, "a b/+?#&=%25/é", "x" * 1024):
        client.put_object("c", name, name.encode())
        assert amazon.get_object(Bucket="c", Key=name)["Body"].read() == name.encode()
        amazon.put_object(Bucket="c", Key=name, Body=b"by the other door", ContentType="text/x", Metadata={"color": "red"})
        head, body = client.get_object("c", name)
        assert body == b"by the other door" and head["content-type"] == "text/x" and head["x-object-meta-color"] == "red"
        client.delete_object("c", name)
    with pytest.raises(swiftclient.ClientException) as failed:
        client.put_object("c", "x" * 1025, b"")
    assert failed.value.http_status == 400
    with pytest.raises(ClientError) as failed:
        amazon.put_object(Bucket="c", Key="x" * 1025)
    assert code(failed) == "KeyTooLongError"


def test_temporary_urls_open_one_object_for_a_while(objects):
    client = swift(objects)
    client.post_account({"X-Account-Meta-Temp-URL-Key": "secret"})
    client.put_container("c")
    client.put_object("c", "o", b"hello")
    path = client.url.split("8777", 1)[1].removeprefix("/object") + "/c/o"
    signed = generate_temp_url(path, 60, "secret", "GET")
    with urllib.request.urlopen(f"{objects.url}/object{signed}") as answer:
        assert answer.read() == b"hello" and "attachment" in answer.headers["Content-Disposition"]
    wrong, short = generate_temp_url(path, 60, "wrong", "GET"), generate_temp_url(path, 1, "secret", "GET")
    for bad in (wrong, short):
        wait_for("the address is refused", lambda: status_of(f"{objects.url}/object{bad}") == 401, 10)


def test_s3_buckets_and_lists(objects):
    amazon = s3(objects)
    amazon.create_bucket(Bucket="bucket")
    assert [bucket["Name"] for bucket in amazon.list_buckets()["Buckets"]] == ["bucket"]
    with pytest.raises(ClientError) as failed:
        amazon.create_bucket(Bucket="bucket")
    assert code(failed) == "BucketAlreadyOwnedByYou"
    amazon.head_bucket(Bucket="bucket")
    names = ["a", "b/1", "b/2", "c d", "é"]
    for name in names:
        amazon.put_object(Bucket="bucket", Key=name, Body=b"x")
    pages = amazon.get_paginator("list_objects_v2").paginate(Bucket="bucket", PaginationConfig={"PageSize": 2})
    assert [thing["Key"] for page in pages for thing in page["Contents"]] == names
    page = amazon.list_objects_v2(Bucket="bucket", Delimiter="/")
    assert [thing["Prefix"] for thing in page["CommonPrefixes"]] == ["b/"]
    assert [thing["Key"] for thing in page["Contents"]] == ["a", "c d", "é"]
    pages = amazon.get_paginator("list_objects").paginate(Bucket="bucket", Prefix="b/", PaginationConfig={"PageSize": 1})
    assert [thing["Key"] for page in pages for thing in page["Contents"]] == ["b/1", "b/2"]
    with pytest.raises(ClientError) as failed:
        amazon.delete_bucket(Bucket="bucket")
    assert code(failed) == "BucketNotEmpty"
    gone = amazon.delete_objects(Bucket="bucket", Delete={"Objects": [{"Key": name} for name in names + ["none"]]})
    assert len(gone["Deleted"]) == 6 and not gone.get("Errors")
    amazon.delete_bucket(Bucket="bucket")
    with pytest.raises(ClientError) as failed:
        amazon.list_objects_v2(Bucket="bucket")
    assert code(failed) == "NoSuchBucket"


def test_s3_reads_writes_and_copies_on_conditions(objects):
    amazon = s3(objects)
    amazon.create_bucket(Bucket="bkt")
    made = amazon.put_object(Bucket="bkt", Key="o", Body=b"0123456789", IfNoneMatch="*")
    with pytest.raises(ClientError) as failed:
        amazon.put_object(Bucket="bkt", Key="o", Body=b"other", IfNoneMatch="*")
    assert code(failed) == "PreconditionFailed"
    part = amazon.get_object(Bucket="bkt", Key="o", Range="bytes=2-4")
    assert part["Body"].read() == b"234" and part["ContentRange"] == "bytes 2-4/10"
    with pytest.raises(ClientError) as failed:
        amazon.get_object(Bucket="bkt", Key="o", Range="bytes=20-")
    assert code(failed) == "InvalidRange"
    with pytest.raises(ClientError) as failed:
        amazon.get_object(Bucket="bkt", Key="o", IfNoneMatch=made["ETag"])
    assert code(failed) == "304"
    with pytest.raises(ClientError) as failed:
        amazon.put_object(Bucket="bkt", Key="o", Body=b"x", IfMatch='"00000000000000000000000000000000"')
    assert code(failed) == "PreconditionFailed"
    amazon.put_object(Bucket="bkt", Key="o", Body=b"newer", IfMatch=made["ETag"])
    amazon.copy_object(Bucket="bkt", Key="copy é", CopySource={"Bucket": "bkt", "Key": "o"}, Metadata={"a": "b"}, MetadataDirective="REPLACE")
    copied = amazon.get_object(Bucket="bkt", Key="copy é")
    assert copied["Body"].read() == b"newer" and copied["Metadata"] == {"a": "b"}
    for method, key, body in (("get_object", "o", None), ("put_object", "by url", b"bytes")):
        url = amazon.generate_presigned_url(method, Params={"Bucket": "bkt", "Key": key}, ExpiresIn=60)
        request = urllib.request.Request(url, data=body, method="PUT" if body else "GET")
        with urllib.request.urlopen(request) as answer:
            assert answer.status == 200 and (body or answer.read() == b"newer")
    right = amazon.generate_presigned_url("get_object", Params={"Bucket": "bkt", "Key": "o"}, ExpiresIn=60)
    bent = right[:-1] + ("1" if right.endswith("0") else "0")
    old = amazon.generate_presigned_url("get_object", Params={"Bucket": "bkt", "Key": "o"}, ExpiresIn=1)
    for url in (bent, old):
        wait_for("the address is refused", lambda: status_of(url) == 403, 10)
    with pytest.raises(ClientError) as failed:
        amazon.put_object(Bucket="bkt", Key="bad", Body=b"x", ContentMD5="AAAAAAAAAAAAAAAAAAAAAA==")
    assert code(failed) == "BadDigest"
    with pytest.raises(ClientError) as failed:
        amazon.put_object(Bucket="bkt", Key="bad", Body=b"x", ChecksumSHA256="AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
    assert code(failed) in ("BadDigest", "InvalidRequest")
    with pytest.raises(ClientError) as failed:
        amazon.get_object(Bucket="bkt", Key="bad")
    assert code(failed) == "NoSuchKey"


def test_s3_knows_nobody_without_a_right_key(objects):
    amazon = s3(objects)
    amazon.create_bucket(Bucket="bkt")
    keys = amazon._request_signer._credentials
    for access, secret, expected in ((keys.access_key, "wrong", "SignatureDoesNotMatch"), ("nobody", "x", "InvalidAccessKeyId")):
        other = boto3.client(
            "s3", endpoint_url="http://127.0.0.1:8778", region_name="us-east-1", aws_access_key_id=access,
            aws_secret_access_key=secret, config=Config(signature_version="s3v4", s3={"addressing_style": "path"}, retries={"max_attempts": 0}),
        )
        with pytest.raises(ClientError) as failed:
            other.list_objects_v2(Bucket="bkt")
        assert code(failed) == expected
    with pytest.raises(urllib.error.HTTPError) as failed:
        urllib.request.urlopen("http://127.0.0.1:8778/bkt")
    assert failed.value.code == 403


def test_large_objects_pass_in_constant_memory(objects):
    """Larger by far than what may be held of it."""
    client, size, block = swift(objects), 256, os.urandom(MIB)
    client.put_container("c")
    process = Path(f"/proc/{objects.pid()}")
    peak = lambda: int(re.search(r"VmHWM:\s+(\d+) kB", (process / "status").read_text())[1]) >> 10
    (process / "clear_refs").write_text("5")  # the peak is counted from now on
    before, sums = peak(), [hashlib.md5(), hashlib.md5()]
    etag = client.put_object("c", "large", contents=(sums[0].update(block) or block for _ in range(size)))
    assert etag == sums[0].hexdigest()
    for chunk in client.get_object("c", "large", resp_chunk_size=MIB)[1]:
        sums[1].update(chunk)
    assert sums[1].hexdigest() == etag
    assert peak() - before < 64, f"{before} MiB before, {peak()} MiB at most"


def test_s3_promises_no_more_than_it_keeps(objects):
    amazon = s3(objects)
    amazon.create_bucket(Bucket="bkt")
    for wish in ({"ServerSideEncryption": "AES256"}, {"ACL": "public-read"}, {"Tagging": "a=b"}, {"StorageClass": "GLACIER"}):
        for call in (lambda: amazon.put_object(Bucket="bkt", Key="o", Body=b"x", **wish),
                     lambda: amazon.create_multipart_upload(Bucket="bkt", Key="o", **wish)):
            with pytest.raises(ClientError) as failed:
                call()
            assert code(failed) == "NotImplemented", wish
    amazon.put_object(Bucket="bkt", Key="o", Body=b"x", ACL="private", StorageClass="STANDARD")
    assert [found["Key"] for found in amazon.list_objects_v2(Bucket="bkt")["Contents"]] == ["o"]


def test_s3_uploads_in_parts(objects, tmp_path):
    amazon, client = s3(objects), swift(objects)
    amazon.create_bucket(Bucket="bkt")
    source = tmp_path / "big"
    source.write_bytes(os.urandom(23 * MIB))
    config = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB, max_concurrency=3)
    amazon.upload_file(str(source), "bkt", "big", Config=config, ExtraArgs={"Metadata": {"a": "b"}})
    head, body = client.get_object("bkt", "big")
    assert body == source.read_bytes() and head["x-object-meta-a"] == "b" and head["etag"].endswith("-5")
    amazon.download_file("bkt", "big", str(tmp_path / "back"), Config=config)
    assert (tmp_path / "back").read_bytes() == source.read_bytes()
    upload = amazon.create_multipart_upload(Bucket="bkt", Key="m")["UploadId"]
    where = {"Bucket": "bkt", "Key": "m", "UploadId": upload}
    one = amazon.upload_part_copy(**where, PartNumber=1, CopySource={"Bucket": "bkt", "Key": "big"}, CopySourceRange=f"bytes=0-{6 * MIB - 1}")
    two = amazon.upload_part(**where, PartNumber=2, Body=b"the end")
    amazon.upload_part(**where, PartNumber=3, Body=b"never used")
    assert [part["PartNumber"] for part in amazon.list_parts(**where)["Parts"]] == [1, 2, 3]
    assert [found["Key"] for found in amazon.list_multipart_uploads(Bucket="bkt")["Uploads"]] == ["m"]
    wrong = [{"PartNumber": 1, "ETag": '"00000000000000000000000000000000"'}]
    with pytest.raises(ClientError) as failed:
        amazon.complete_multipart_upload(**where, MultipartUpload={"Parts": wrong})
    assert code(failed) == "InvalidPart"
    parts = [{"PartNumber": 1, "ETag": one["CopyPartResult"]["ETag"]}, {"PartNumber": 2, "ETag": two["ETag"]}]
    with pytest.raises(ClientError) as failed:
        amazon.complete_multipart_upload(**where, MultipartUpload={"Parts": parts[::-1]})
    assert code(failed) == "InvalidPartOrder"
    amazon.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})
    assert client.get_object("bkt", "m")[1] == source.read_bytes()[: 6 * MIB] + b"the end"
    upload = amazon.create_multipart_upload(Bucket="bkt", Key="gone")["UploadId"]
    where = {"Bucket": "bkt", "Key": "gone", "UploadId": upload}
    amazon.upload_part(**where, PartNumber=1, Body=b"x")
    amazon.abort_multipart_upload(**where)
    with pytest.raises(ClientError) as failed:
        amazon.list_parts(**where)
    assert code(failed) == "NoSuchUpload"
    with pytest.raises(ClientError):
        amazon.head_object(Bucket="bkt", Key="gone")


def test_a_kill_in_the_middle_of_uploads_leaves_whole_objects_only(objects):
    client = swift(objects)
    client.put_container("c")
    acknowledged, stop = {}, threading.Event()

    def upload(worker):
        own, number = swift(objects), 0
        while not stop.is_set():
            number += 1
            data = os.urandom(1) * (1 + (number * 7919 * (worker + 1)) % (2 * MIB))
            try:
                own.put_object("c", f"{worker}-{number % 5}", data)
                acknowledged[f"{worker}-{number % 5}"] = data
            except Exception:  # the cloud is killed under us
                acknowledged.setdefault(f"maybe {worker}-{number % 5}", []).append(data)
                return

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        work = [pool.submit(upload, worker) for worker in range(4)]
        wait_for("some are stored", lambda: len(acknowledged) > 12 or all(done.done() for done in work), 60, 0.01)
        objects.kill()
        stop.set()
    objects.up()
    client = swift(objects)
    maybe = {name.removeprefix("maybe "): data for name, data in acknowledged.items() if name.startswith("maybe ")}
    for name, data in acknowledged.items():
        if name.startswith("maybe "):
            continue
        body = client.get_object("c", name)[1]
        assert body == data or body in maybe.get(name, []), name
    for thing in client.get_container("c", full_listing=True)[1]:
        body = client.get_object("c", thing["name"])[1]
        assert hashlib.md5(body).hexdigest() == thing["hash"] and len(body) == thing["bytes"]
    wait_for("nothing is left over", lambda: len(files(objects)) == len(client.get_container("c")[1]), 30)


def test_a_kill_in_the_middle_of_one_put_leaves_the_old_object(objects):
    client = swift(objects)
    client.put_container("c")
    client.put_object("c", "o", b"old")
    connection = http.client.HTTPConnection("127.0.0.1", 8777)
    path = client.url.split("8777", 1)[1]
    connection.putrequest("PUT", f"{path}/c/o")
    for name, value in (("X-Auth-Token", client.token), ("Content-Length", str(20 * MIB))):
        connection.putheader(name, value)
    connection.endheaders()
    connection.send(b"x" * (8 * MIB))
    wait_for("it is being written", lambda: any(name.endswith(".part") for name in files(objects)), 20)
    objects.kill()
    objects.up()
    assert swift(objects).get_object("c", "o")[1] == b"old"
    wait_for("nothing is left over", lambda: len(files(objects)) == 1, 30)


def test_a_kill_in_the_middle_of_parts_loses_no_part_that_was_acknowledged(objects):
    amazon = s3(objects)
    amazon.create_bucket(Bucket="bkt")
    where = {"Bucket": "bkt", "Key": "m"}
    where["UploadId"] = amazon.create_multipart_upload(**where)["UploadId"]
    parts, sent = [], []
    first = os.urandom(5 * MIB)
    parts.append({"PartNumber": 1, "ETag": amazon.upload_part(**where, PartNumber=1, Body=first)["ETag"]})

    def second():
        try:
            sent.append(amazon.upload_part(**where, PartNumber=2, Body=os.urandom(30 * MIB)))
        except (ClientError, BotoCoreError) as why:
            sent.append(why)

    thread = threading.Thread(target=second)
    thread.start()
    wait_for("it is being written", lambda: sent or any(name.endswith(".part") for name in files(objects)), 30, 0.005)
    objects.kill()
    thread.join(60)
    objects.up()
    kept = {part["PartNumber"] for part in amazon.list_parts(**where)["Parts"]}
    assert 1 in kept
    parts.append({"PartNumber": 3, "ETag": amazon.upload_part(**where, PartNumber=3, Body=b"end")["ETag"]})
    amazon.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})
    assert swift(objects).get_object("bkt", "m")[1] == first + b"end"
    wait_for("nothing is left over", lambda: len(files(objects)) == 2, 30)


def test_a_full_disk_is_said_by_both_doors_and_leaves_nothing(objects):
    client, amazon = swift(objects), s3(objects)
    client.put_container("c")
    with pytest.raises(swiftclient.ClientException) as failed:
        client.put_object("c", "big", b"x" * (320 * MIB))
    assert failed.value.http_status == 507
    with pytest.raises(ClientError) as failed:
        amazon.put_object(Bucket="c", Key="big", Body=b"x" * (320 * MIB))
    assert failed.value.response["ResponseMetadata"]["HTTPStatusCode"] == 507
    assert client.get_container("c")[1] == []
    # What was read just before may stay for a while, whoever deleted it.
    wait_for("the space is free again", lambda: files(objects) == [], 30)
    client.put_object("c", "small", b"fits")


def test_quotas_hold_when_many_write_at_once(objects):
    client = swift(objects)
    client.put_container("c", headers={"X-Container-Meta-Quota-Bytes": str(5 * MIB)})

    def put(number):
        try:
            swift(objects).put_object("c", str(number), b"x" * MIB)
            return 201
        except swiftclient.ClientException as why:
            return why.http_status

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(put, range(16)))
    assert sorted(statuses) == [201] * 5 + [413] * 11
    assert len(client.get_container("c")[1]) == 5
