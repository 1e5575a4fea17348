#!/usr/bin/env bash
# Installs what is missing of the named package sets, as root or through sudo. Silent, and without apt, when all is there.
#   board/setup.sh build test cross
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
lists=$here/packages

has_rust() { "$here/cargo.sh" --where >/dev/null 2>&1; }
has_arm64_std() {
    local bin
    bin=$("$here/cargo.sh" --where 2>/dev/null) && [[ -d $("$bin/rustc" --print sysroot)/lib/rustlib/aarch64-unknown-linux-gnu ]]
}

files=()
for set in "$@"; do
    [[ $set != *rust && $set != capture && $set != yocto-boot && $set != image-root && $set != image-emulator && -f $lists/$set.txt ]] || { echo "setup: no package set '$set'; there are: build, test, cross, bench, fleet, yocto, image" >&2; exit 2; }
    files+=("$lists/$set.txt")
    # A toolchain of the user's own is good enough where it can do the work.
    if [[ $set == build ]] && ! has_rust; then files+=("$lists/rust.txt"); fi
    if [[ $set == cross ]] && ! has_arm64_std; then files+=("$lists/rust.txt" "$lists/cross-rust.txt"); fi
done
mapfile -t wanted < <(sort -u "${files[@]}")

if ! command -v dpkg-query >/dev/null; then
    echo "setup: not a Debian system; needed are the equivalents of: ${wanted[*]}" >&2
    exit 3
fi
native=$(dpkg --print-architecture)

missing_packages() {
    local installed name
    # shellcheck disable=SC2016 # dpkg-query's own placeholders
    installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}:${Architecture}\n')
    for name in "${wanted[@]}"; do
        case $name in
            *:*) grep -qxF "installed $name" <<<"$installed" || echo "$name" ;;
            *) grep -qxF -e "installed $name:$native" -e "installed $name:all" <<<"$installed" || echo "$name" ;;
        esac
    done
}

mapfile -t missing < <(missing_packages)
if ((${#missing[@]} > 0)); then
    # shellcheck source=/dev/null
    if ! (. /etc/os-release && [[ ${ID:-} == debian && ${VERSION_ID:-} == 12 ]]); then
        echo "setup: the package lists are for Debian 12; here these are missing or have other names: ${missing[*]}" >&2
        echo "setup: going on without them; the build will say what it lacks" >&2
        exit 0
    fi
    sudo=()
    if ((EUID != 0)); then
        command -v sudo >/dev/null || { echo "setup: run this as root, or install sudo; missing: ${missing[*]}" >&2; exit 3; }
        sudo=(sudo)
    fi
    echo "setup: installing ${missing[*]}"
    if [[ " ${missing[*]}" == *:arm64* && $native != arm64 ]]; then "${sudo[@]}" dpkg --add-architecture arm64; fi
    apt=("${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Acquire::Retries=3 -o DPkg::Lock::Timeout=120)
    "${apt[@]}" update
    # --no-remove: a machine's own software is never the price.
    "${apt[@]}" install --no-install-recommends --no-remove "${missing[@]}"
    # Debian starts a broker when it is installed; ours are private, so the machine does not keep one that it did not have.
    if [[ " ${missing[*]} " == *" mosquitto "* && -d /run/systemd/system ]]; then "${sudo[@]}" systemctl disable --now mosquitto; fi
fi

if ! has_rust; then "$here/cargo.sh" --where; fi
