#!/usr/bin/env bash
# The systemd files: well formed, and the daemon's exposure no higher than 2.0 of 10.
set -euo pipefail
cd "$(dirname "$0")/.."

command -v systemd-analyze >/dev/null || { echo "unit: systemd-analyze is missing: run 'make setup'" >&2; exit 3; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# verify wants the program to exist; any does.
sed "s|^ExecStart=/usr/bin/picket|ExecStart=$(type -P true)|" systemd/picket.service >"$work/picket.service"
cp systemd/picket-reboot.path systemd/picket-reboot.service "$work"
units=("$work/picket.service" "$work/picket-reboot.path" "$work/picket-reboot.service")
SYSTEMD_UNIT_PATH="$work:" systemd-analyze verify --man=no "${units[@]}" 2>"$work/said" || { cat "$work/said" >&2; exit 1; }
# An unknown key is only a warning, and other units of this machine warn too.
if grep -F picket "$work/said" >&2; then exit 1; fi

systemd-analyze security --offline=true --threshold=20 --no-pager systemd/picket.service >"$work/exposure" || { cat "$work/exposure" >&2; exit 1; }
tail -1 "$work/exposure"

# On an empty root: what a first boot would make of the user and the folders.
mkdir -p "$work/root/etc"
systemd-sysusers --root="$work/root" "$PWD/systemd/picket.sysusers"
grep -q '^picket:' "$work/root/etc/passwd"
if ((EUID == 0)); then
    systemd-tmpfiles --root="$work/root" --create "$PWD/systemd/picket.tmpfiles"
    [[ $(stat -c %a "$work/root/var/lib/picket") == 700 ]]
fi
echo "unit: service, sysusers and tmpfiles are good"
