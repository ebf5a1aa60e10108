"""A key, an object under it, and what happens when the key's policy says no. Against `make run`:

    python examples/boto3_roundtrip.py [DATA]

It reads nothing but the AWS_* environment that `make run` prints. DATA is the server's folder, if it is on this
machine: then the example also looks for the plaintext in it.
"""

import json
import secrets
import sys
from pathlib import Path

import boto3
from botocore.exceptions import ClientError


def main() -> None:
    """Create, put, get, deny, restore, clean up."""
    kms, s3, sts = boto3.client("kms"), boto3.client("s3"), boto3.client("sts")
    me = sts.get_caller_identity()["Arn"]
    bucket = f"boto3-{secrets.token_hex(6)}"
    text = f"the text of this run is {secrets.token_hex(24)}".encode()

    key = kms.create_key(Description="examples/boto3_roundtrip.py")["KeyMetadata"]["Arn"]
    print(f"a key: {key}")

    s3.create_bucket(Bucket=bucket)
    put = s3.put_object(Bucket=bucket, Key="notes/one.txt", Body=text, ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    print(f"put with {put['ServerSideEncryption']} under that key")

    got = s3.get_object(Bucket=bucket, Key="notes/one.txt")["Body"].read()
    part = s3.get_object(Bucket=bucket, Key="notes/one.txt", Range="bytes=4-7")["Body"].read()
    if (got, part) != (text, text[4:8]):
        sys.exit("what came back is not what was put")
    print("got it back, whole and in part")

    # The key's policy as it is, and one statement more: this very caller may not decrypt.
    policy = json.loads(kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"])
    deny = {"Sid": "not-now", "Effect": "Deny", "Principal": {"AWS": me}, "Action": "kms:Decrypt", "Resource": "*"}
    denying = {**policy, "Statement": [*policy["Statement"], deny]}
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps(denying))
    try:
        s3.get_object(Bucket=bucket, Key="notes/one.txt")
    except ClientError as refused:
        error = refused.response["Error"]
        print(f"denied: {error['Code']}: {error['Message']}")
        if error["Code"] != "AccessDenied":
            sys.exit("that is another error than a denial")
    else:
        sys.exit("a reader without kms:Decrypt was served")

    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps(policy))
    if s3.get_object(Bucket=bucket, Key="notes/one.txt")["Body"].read() != text:
        sys.exit("what came back is not what was put")
    print("and allowed again")

    if len(sys.argv) > 1:
        look_for(text, Path(sys.argv[1]))

    s3.delete_object(Bucket=bucket, Key="notes/one.txt")
    s3.delete_bucket(Bucket=bucket)
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    print("cleaned up")


def look_for(text: bytes, data: Path) -> None:
    """No file in the server's folder may hold a piece of the plaintext."""
    files = [path for path in data.rglob("*") if path.is_file()]
    pieces = [text[at : at + 16] for at in range(0, len(text) - 15, 8)]
    for path in files:
        content = path.read_bytes()
        if any(piece in content for piece in pieces):
            sys.exit(f"{path} holds plaintext")
    print(f"looked at {len(files)} files in {data}: no plaintext")


if __name__ == "__main__":
    main()
