#!/bin/sh
# install-locked <venv> <lock>...: wheels into a virtual environment, each checked against its hash. Runs inside the build alone.
set -eu
venv=$1
shift
secrets=/run/secrets
if [ -s "$secrets/authorities" ]; then export PIP_CERT="$secrets/authorities" SSL_CERT_FILE="$secrets/authorities"; fi
if [ -s "$secrets/pip" ]; then export PIP_CONFIG_FILE="$secrets/pip"; fi
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore PIP_NO_INPUT=1
for lock in "$@"; do
    echo "installing $(grep -c '==' "$lock") packages of $(basename "$lock")"
    "${PIP:-/opt/builder/bin/pip}" --python "$venv/bin/python" install --quiet --no-compile \
        --require-hashes --only-binary :all: --requirement "$lock"
done
# botocore describes every service of AWS, 20 MB of them; the images call three.
for data in "$venv"/lib/python3*/site-packages/botocore/data; do
    [ ! -d "$data" ] || find "$data" -mindepth 1 -maxdepth 1 -type d ! -name s3 ! -name secretsmanager ! -name sts -exec rm -r {} +
done
# Believed without a look at time stamps. Some packages carry templates that are no Python: their failure is none of ours.
"$venv/bin/python" -m compileall -qq -j 0 --invalidation-mode unchecked-hash "$venv/lib" || true
