"""What tools rely on beyond the bytes: conditions, versions, parts, owners, quotas; what is not kept is not promised."""

import datetime

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from swiftclient.exceptions import ClientException

from test_objects import MIB, code, empty, s3, swift

NEVER = '"00000000000000000000000000000000"'
BUCKET = "bkt"


@pytest.fixture
def amazon(objects):
    empty(objects)
    client = s3(objects)
    client.create_bucket(Bucket=BUCKET)
    client.put_object(Bucket=BUCKET, Key="o", Body=b"0123456789", Metadata={"a": "b"})
    yield client
    empty(objects)
    assert objects.fsck() == []


def refused(call, *expected):
    with pytest.raises(ClientError) as failed:
        call()
    assert code(failed) in expected, failed.value


def body(amazon, key="o", **more):
    return amazon.get_object(Bucket=BUCKET, Key=key, **more)["Body"].read()


def test_an_object_has_one_version(amazon):
    for call in (amazon.get_object, amazon.head_object, amazon.delete_object):
        refused(lambda: call(Bucket=BUCKET, Key="o", VersionId="foo"), "InvalidArgument", "400")
    many = amazon.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "o", "VersionId": "foo"}]})
    assert [(one["Key"], one["Code"]) for one in many["Errors"]] == [("o", "NoSuchVersion")]
    assert body(amazon, VersionId="null") == b"0123456789"
    assert "Status" not in amazon.get_bucket_versioning(Bucket=BUCKET)
    assert amazon.get_object_tagging(Bucket=BUCKET, Key="o")["TagSet"] == []
    amazon.delete_object(Bucket=BUCKET, Key="o", VersionId="null")
    refused(lambda: amazon.get_object_tagging(Bucket=BUCKET, Key="o"), "NoSuchKey")


def test_copies_heed_conditions_on_both_ends(amazon):
    tag = amazon.head_object(Bucket=BUCKET, Key="o")["ETag"]
    amazon.put_object(Bucket=BUCKET, Key="there", Body=b"there")
    source = {"Bucket": BUCKET, "Key": "o"}
    then, later = datetime.datetime(2000, 1, 1), datetime.datetime(2100, 1, 1)
    for condition in (
        {"CopySourceIfMatch": NEVER}, {"CopySourceIfNoneMatch": tag}, {"CopySourceIfUnmodifiedSince": then},
        {"CopySourceIfModifiedSince": datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=-0.0)},
        {"IfNoneMatch": "*"}, {"IfMatch": NEVER},
    ):
        refused(lambda: amazon.copy_object(Bucket=BUCKET, Key="there", CopySource=source, **condition), "PreconditionFailed")
    assert body(amazon, "there") == b"there"
    fine = {"CopySourceIfMatch": tag, "CopySourceIfModifiedSince": then}
    amazon.copy_object(Bucket=BUCKET, Key="there", CopySource=source, **fine)
    amazon.copy_object(Bucket=BUCKET, Key="new", CopySource=source, CopySourceIfUnmodifiedSince=later, IfNoneMatch="*")
    assert body(amazon, "there") == body(amazon, "new") == b"0123456789"
    refused(lambda: amazon.copy_object(Bucket=BUCKET, Key="o", CopySource=source), "InvalidRequest")
    amazon.copy_object(Bucket=BUCKET, Key="o", CopySource=source, Metadata={"c": "d"}, MetadataDirective="REPLACE")
    assert amazon.head_object(Bucket=BUCKET, Key="o")["Metadata"] == {"c": "d"}


def test_objects_are_deleted_on_condition_of_their_tag(amazon):
    tag = amazon.head_object(Bucket=BUCKET, Key="o")["ETag"]
    refused(lambda: amazon.delete_object(Bucket=BUCKET, Key="o", IfMatch=NEVER), "PreconditionFailed")
    many = amazon.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "o", "ETag": NEVER}]})
    assert [(one["Key"], one["Code"]) for one in many["Errors"]] == [("o", "PreconditionFailed")]
    assert body(amazon) == b"0123456789"
    amazon.delete_object(Bucket=BUCKET, Key="o", IfMatch=tag)
    refused(lambda: body(amazon), "NoSuchKey")


def test_a_bucket_of_somebody_else_is_not_taken_for_ones_own(amazon):
    owner = amazon.list_buckets()["Owner"]["ID"]
    refused(lambda: body(amazon, ExpectedBucketOwner="123456789012"), "AccessDenied")
    refused(lambda: amazon.put_object(Bucket=BUCKET, Key="o", Body=b"x", ExpectedBucketOwner="123456789012"), "AccessDenied")
    source = {"CopySource": {"Bucket": BUCKET, "Key": "o"}, "ExpectedSourceBucketOwner": "123456789012"}
    refused(lambda: amazon.copy_object(Bucket=BUCKET, Key="n", **source), "AccessDenied")
    assert body(amazon, ExpectedBucketOwner=owner) == b"0123456789"
    assert amazon.list_objects(Bucket=BUCKET)["Contents"][0]["Owner"]["ID"] == owner
    assert "Owner" not in amazon.list_objects_v2(Bucket=BUCKET)["Contents"][0]
    assert amazon.list_objects_v2(Bucket=BUCKET, FetchOwner=True)["Contents"][0]["Owner"]["ID"] == owner


def test_what_is_asked_for_by_parts_comes_by_parts(amazon):
    upload = amazon.create_multipart_upload(Bucket=BUCKET, Key="m")["UploadId"]
    where = {"Bucket": BUCKET, "Key": "m", "UploadId": upload}
    pieces = [b"1" * (5 * MIB), b"the end"]
    parts = [
        {"PartNumber": at, "ETag": amazon.upload_part(**where, PartNumber=at, Body=piece)["ETag"]}
        for at, piece in enumerate(pieces, 1)
    ]
    whole = {"Parts": parts}
    refused(lambda: amazon.complete_multipart_upload(**where, MultipartUpload=whole, MpuObjectSize=99), "InvalidRequest")
    checked = {"Parts": [dict(part, ChecksumSHA256="A" * 43 + "=") for part in parts]}
    refused(lambda: amazon.complete_multipart_upload(**where, MultipartUpload=checked), "NotImplemented")
    made = amazon.complete_multipart_upload(**where, MultipartUpload=whole)
    # Asked again by a client that did not get the answer.
    assert amazon.complete_multipart_upload(**where, MultipartUpload=whole)["ETag"] == made["ETag"]
    refused(lambda: amazon.complete_multipart_upload(**where, MultipartUpload={"Parts": parts[:1]}), "NoSuchUpload")
    second = amazon.get_object(Bucket=BUCKET, Key="m", PartNumber=2)
    assert (second["PartsCount"], second["ContentLength"], second["Body"].read()) == (2, 7, b"the end")
    assert second["ContentRange"] == f"bytes {5 * MIB}-{5 * MIB + 6}/{5 * MIB + 7}"
    assert amazon.head_object(Bucket=BUCKET, Key="m", PartNumber=1)["ContentLength"] == 5 * MIB
    assert body(amazon, PartNumber=1) == b"0123456789"
    for key, number in (("m", 3), ("o", 2)):
        refused(lambda: body(amazon, key, PartNumber=number), "InvalidPart", "InvalidPartNumber", "416")


def test_ranges_say_where_they_begin_and_end(amazon):
    for wanted, found in (("bytes=2-4", b"234"), ("bytes=-3", b"789"), ("bytes=8-", b"89")):
        assert body(amazon, Range=wanted) == found
        head = amazon.head_object(Bucket=BUCKET, Key="o", Range=wanted)
        assert (head["ContentLength"], head["ResponseMetadata"]["HTTPStatusCode"]) == (len(found), 206)
    upload = amazon.create_multipart_upload(Bucket=BUCKET, Key="m")["UploadId"]
    part = {"Bucket": BUCKET, "Key": "m", "UploadId": upload, "PartNumber": 1, "CopySource": {"Bucket": BUCKET, "Key": "o"}}
    for beyond in ("bytes=0-10", "bytes=-5", "bytes=7-3"):
        refused(lambda: amazon.upload_part_copy(**part, CopySourceRange=beyond), "InvalidArgument", "InvalidRange")


def test_what_is_said_of_an_object_is_kept_or_refused(amazon):
    expires = datetime.datetime(2030, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)
    amazon.put_object(Bucket=BUCKET, Key="e", Body=b"x", Expires=expires)
    assert amazon.head_object(Bucket=BUCKET, Key="e")["ExpiresString"] == "Wed, 02 Jan 2030 03:04:05 GMT"
    refused(lambda: amazon.put_object(Bucket=BUCKET, Key="o", Body=b"x", WriteOffsetBytes=10), "NotImplemented")
    assert body(amazon) == b"0123456789"
    for key in ("m1", "m2", "n"):
        amazon.create_multipart_upload(Bucket=BUCKET, Key=key)
    found = amazon.list_multipart_uploads(Bucket=BUCKET, Prefix="m")["Uploads"]
    assert [one["Key"] for one in found] == ["m1", "m2"]


def test_parts_count_against_quotas_while_they_wait(objects, amazon):
    client = swift(objects)
    client.post_container(BUCKET, {"X-Container-Meta-Quota-Bytes": str(8 * MIB)})
    upload = amazon.create_multipart_upload(Bucket=BUCKET, Key="m")["UploadId"]
    where = {"Bucket": BUCKET, "Key": "m", "UploadId": upload}
    first = amazon.upload_part(**where, PartNumber=1, Body=b"1" * (5 * MIB))["ETag"]
    # In the place of the one before it, there is room.
    assert amazon.upload_part(**where, PartNumber=1, Body=b"1" * (5 * MIB))["ETag"] == first
    refused(lambda: amazon.upload_part(**where, PartNumber=2, Body=b"2" * (5 * MIB)), "EntityTooLarge")
    refused(lambda: amazon.upload_part(**where, PartNumber=2, Body=b"2" * (9 * MIB)), "EntityTooLarge")
    amazon.complete_multipart_upload(**where, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": first}]})
    assert len(body(amazon, "m")) == 5 * MIB


def test_swift_copies_what_it_is_asked_for(objects, amazon):
    client = swift(objects)

    def copied(**headers):
        client.copy_object(BUCKET, "o", f"/{BUCKET}/copy", headers={name.replace("_", "-"): value for name, value in headers.items()})
        return client.get_object(BUCKET, "copy")[1]

    assert copied(Range="bytes=2-4") == b"234"
    assert copied() == b"0123456789"
    for condition, status in (({"If_Match": "zzz"}, 412), ({"Range": "bytes=50-"}, 416)):
        with pytest.raises(ClientException) as failed:
            copied(**condition)
        assert failed.value.http_status == status


def test_only_a_manifest_is_deleted_with_its_segments_and_a_broken_one_goes_too(objects, amazon):
    client = swift(objects)
    answer = {}
    client.delete_object(BUCKET, "o", query_string="multipart-manifest=delete", response_dict=answer)
    assert body(amazon) == b"0123456789"
    manifest = f'[{{"path": "/{BUCKET}/o"}}]'
    client.put_object(BUCKET, "large", manifest, query_string="multipart-manifest=put")
    client.delete_object(BUCKET, "o")
    assert client.head_object(BUCKET, "large")["content-length"] == "10"
    with pytest.raises(ClientException) as failed:
        client.get_object(BUCKET, "large")
    assert failed.value.http_status == 409
    with pytest.raises(ClientException) as failed:
        client.put_object(BUCKET, "wrong", manifest, query_string="multipart-manifest=put")
    assert failed.value.http_response_headers["content-type"].startswith("text/plain")
    client.delete_object(BUCKET, "large", query_string="multipart-manifest=delete")
    assert [one["name"] for one in client.get_container(BUCKET)[1]] == []


def test_a_client_that_names_another_region_is_told_the_right_one(objects, amazon):
    keys = amazon._request_signer._credentials
    for region in ("RegionOne", "US", "eu-west-1"):
        other = boto3.client(
            "s3", endpoint_url="http://127.0.0.1:8778", region_name=region, aws_access_key_id=keys.access_key,
            aws_secret_access_key=keys.secret_key, config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
        )
        assert body(other) == b"0123456789"
    old = boto3.client(
        "s3", endpoint_url="http://127.0.0.1:8778", region_name="us-east-1", aws_access_key_id=keys.access_key,
        aws_secret_access_key=keys.secret_key, config=Config(signature_version="s3", s3={"addressing_style": "path"}),
    )
    refused(lambda: body(old), "InvalidRequest")
    refused(lambda: amazon.get_object(Bucket=BUCKET, Key="none"), "NoSuchKey")
