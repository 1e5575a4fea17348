#!/usr/bin/env bash
# venv.sh FOLDER [SCRIPT ARGUMENTS...]: makes the Python environment of requirements.txt below FOLDER where it is not there, and runs a
# script in it. Without a registry to install from, only the list of crates is checked, and that is said.
set -euo pipefail
cd "$(dirname "$0")/../.."

folder=$1
shift
wanted=tests/yocto/requirements.txt
venv=$folder/venv-$(sha256sum "$wanted" | cut -c1-12)
if [[ ! -x $venv/ready ]]; then
    rm -rf "$venv"
    mkdir -p "$folder"
    python3 -m venv "$venv"
    if timeout 300 "$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps -r "$wanted"; then
        install -m 755 /dev/null "$venv/ready"
    else
        rm -rf "$venv"
        echo "yocto: SKIPPED all but the list of crates: the packages of $wanted could not be installed"
        exec python3 -B yocto/tools/crates.py --check
    fi
fi
if (($# > 0)); then exec "$venv/bin/python" -B "$@"; fi
