#!/usr/bin/env bash
# A key, an object under it, and what happens when the key's policy says no; with the stock AWS CLI, against `make run`:
#
#   examples/aws_cli.sh [DATA]
#
# It reads nothing but the AWS_* environment that `make run` prints. DATA is the server's folder, if it is on this machine.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bucket="aws-cli-$(od -An -N6 -tx1 /dev/urandom | tr -d ' \n')"
text="the text of this run is $(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')"
printf '%s' "$text" >"$work/one.txt"

key=$(aws kms create-key --description examples/aws_cli.sh --query KeyMetadata.Arn --output text)
aws kms create-alias --alias-name "alias/$bucket" --target-key-id "$key"
echo "a key: $key, called alias/$bucket"

aws s3 mb "s3://$bucket"
aws s3 cp "$work/one.txt" "s3://$bucket/" --sse aws:kms --sse-kms-key-id "alias/$bucket" --no-progress
aws s3api head-object --bucket "$bucket" --key one.txt --query '[ServerSideEncryption, SSEKMSKeyId]' --output text

aws s3 cp "s3://$bucket/one.txt" "$work/back.txt" --no-progress
cmp "$work/one.txt" "$work/back.txt"
echo "got it back"

# AWS's default policy, and one statement more: this very caller may not decrypt
read -r account me < <(aws sts get-caller-identity --query '[Account, Arn]' --output text)
aws kms get-key-policy --key-id "$key" --policy-name default --query Policy --output text >"$work/policy.json"
cat >"$work/denying.json" <<POLICY
{"Version": "2012-10-17", "Statement": [
  {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::$account:root"}, "Action": "kms:*", "Resource": "*"},
  {"Effect": "Deny", "Principal": {"AWS": "$me"}, "Action": "kms:Decrypt", "Resource": "*"}
]}
POLICY
aws kms put-key-policy --key-id "$key" --policy-name default --policy "file://$work/denying.json"
if aws s3api get-object --bucket "$bucket" --key one.txt "$work/denied.txt" >"$work/said" 2>&1; then
  echo "a reader without kms:Decrypt was served" >&2
  exit 1
fi
grep AccessDenied "$work/said"
aws kms put-key-policy --key-id "$key" --policy-name default --policy "file://$work/policy.json"
aws s3 cp "s3://$bucket/one.txt" - | cmp "$work/one.txt" -
echo "and allowed again"

if [ $# -gt 0 ]; then
  if grep -rqaF -- "${text#the text of this run is }" "$1"; then
    echo "the plaintext is in $1" >&2
    exit 1
  fi
  echo "looked at $(find "$1" -type f | wc -l) files in $1: no plaintext"
fi

aws s3 rb "s3://$bucket" --force
aws kms schedule-key-deletion --key-id "$key" --pending-window-in-days 7 --query DeletionDate --output text
echo "cleaned up"
