#!/usr/bin/env bash
# Runs cargo from the first toolchain that is new enough: Debian's in /usr/bin, else the user's own.
#   board/cargo.sh test            board/cargo.sh --where   (prints the toolchain's bin folder)
# Debian's comes first because it alone has the arm64 standard library, and two toolchains in one target
# folder rebuild everything at each change.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
need=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$root/Cargo.toml")

new_enough() {
    local have
    [[ -x $1/cargo ]] || return 1
    have=$("$1/rustc" --version 2>/dev/null | cut -d' ' -f2) || return 1
    [[ -n $have ]] && printf '%s\n' "$need" "${have%%-*}" | sort -V -C
}

IFS=: read -ra path <<<"$PATH"
for dir in /usr/bin "${path[@]}" "$HOME/.cargo/bin"; do
    if [[ -n $dir ]] && new_enough "$dir"; then
        if [[ ${1:-} == --where ]]; then
            echo "$dir"
            exit 0
        fi
        # cargo finds rustc, clippy and rustfmt through PATH: all of one toolchain.
        export PATH="$dir:$PATH"
        exec "$dir/cargo" "$@"
    fi
done
echo "picket: no Rust toolchain of version $need or newer; on Debian 12 'make setup' installs one, elsewhere use rustup or the distribution's" >&2
exit 3
