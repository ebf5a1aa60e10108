#!/usr/bin/env bash
# A folder to the proxy and back with rclone, which is configured by the environment alone; against `make run`:
#
#   examples/rclone.sh [DATA]
#
# It reads nothing but the AWS_* environment that `make run` prints. DATA is the server's folder, if it is on this machine.
# Every object is written under alias/aws/s3, the account's own key; rclone keeps the MD5 of each in its metadata, because
# the ETag of an SSE-KMS object is none, so --checksum compares contents here too.
set -euo pipefail

export RCLONE_CONFIG=/dev/null
export RCLONE_CONFIG_PROXY_TYPE=s3
export RCLONE_CONFIG_PROXY_PROVIDER=Other # AWS puts the bucket into the host's name, whatever is asked of it
export RCLONE_CONFIG_PROXY_ENV_AUTH=true
export RCLONE_CONFIG_PROXY_ENDPOINT=$AWS_ENDPOINT_URL
export RCLONE_CONFIG_PROXY_REGION=${AWS_DEFAULT_REGION:-us-east-1}
export RCLONE_CONFIG_PROXY_FORCE_PATH_STYLE=true
export RCLONE_CONFIG_PROXY_SERVER_SIDE_ENCRYPTION=aws:kms

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bucket="rclone-$(od -An -N6 -tx1 /dev/urandom | tr -d ' \n')"
text="the text of this run is $(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')"
mkdir -p "$work/out/deep/er"
printf '%s' "$text" >"$work/out/one.txt"
: >"$work/out/deep/empty"
printf '%s' "$text" >"$work/out/deep/er/naïve & odd +name.txt"
head -c 7000000 /dev/urandom >"$work/out/deep/large.bin"

rclone mkdir "proxy:$bucket"
rclone sync "$work/out" "proxy:$bucket/folder" --checksum
rclone sync "proxy:$bucket/folder" "$work/back" --checksum
diff -r "$work/out" "$work/back"
echo "there and back: $(rclone lsf -R --files-only "proxy:$bucket/folder" | wc -l) files, all equal"

rclone sync "$work/out" "proxy:$bucket/folder" --checksum --stats-one-line --stats-log-level NOTICE -v 2>"$work/said"
if grep -q Copied "$work/said"; then
  cat "$work/said" >&2
  exit 1
fi
echo "a second sync moved nothing"

rm "$work/out/one.txt"
rclone sync "$work/out" "proxy:$bucket/folder" --checksum
rclone sync "proxy:$bucket/folder" "$work/back" --checksum
diff -r "$work/out" "$work/back"
echo "a file that was removed is gone on the other side, both ways"

if [ $# -gt 0 ]; then
  if grep -rqaF -- "${text#the text of this run is }" "$1"; then
    echo "the plaintext is in $1" >&2
    exit 1
  fi
  echo "looked at $(find "$1" -type f | wc -l) files in $1: no plaintext"
fi

rclone purge "proxy:$bucket"
echo "cleaned up"
