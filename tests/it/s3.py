"""A look at the stand-in for S3 by a client that is not ours (boto3).

s3.py prepare ENDPOINT              makes a user, who may do everything with S3, and a bucket; prints the user's keys
s3.py read ENDPOINT ID SECRET URI   writes the object at s3://bucket/key to standard output
"""

import json
import sys

import boto3


def client(service, key_id="any", secret="any"):
    return boto3.client(
        service,
        endpoint_url=sys.argv[2],
        region_name="us-east-1",
        aws_access_key_id=key_id,
        aws_secret_access_key=secret,
    )


def prepare():
    # Four requests: after as many the stand-in wants signatures (INITIAL_NO_AUTH_ACTION_COUNT).
    iam = client("iam")
    iam.create_user(UserName="bridge")
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    iam.put_user_policy(UserName="bridge", PolicyName="s3", PolicyDocument=json.dumps(policy))
    client("s3").create_bucket(Bucket="files")
    key = iam.create_access_key(UserName="bridge")["AccessKey"]
    print(key["AccessKeyId"], key["SecretAccessKey"])


def read(key_id, secret, uri):
    bucket, key = uri.removeprefix("s3://").split("/", 1)
    found = client("s3", key_id, secret).get_object(Bucket=bucket, Key=key)
    sys.stdout.buffer.write(found["Body"].read())


if sys.argv[1] == "prepare":
    prepare()
else:
    read(*sys.argv[3:])
