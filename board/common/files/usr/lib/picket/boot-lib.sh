# shellcheck shell=sh disable=SC2034,SC2086 # names for those who source it; they have no blanks
# Shared by the appliance's scripts; sourced, for busybox's shell.
# What an update is doing is kept in UPDATE (over restarts) and told to Picket in STATE, `key=value` lines that it reads.
UPDATE=/data/update
STATE=/run/picket-update/state
PENDING=$UPDATE/pending
REASON=$UPDATE/reason
LAST=$UPDATE/last

log() { echo "$1"; }

# The slot that runs: A or B.
booted_slot() { sed -n 's/.*\brauc\.slot=\([AB]\).*/\1/p' /proc/cmdline; }
other_slot() { case $(booted_slot) in A) echo B ;; *) echo A ;; esac; }

# The value of a key in a file of `key=value` lines, unquoted; nothing when it is not there.
value_of() { sed -n "s/^$1=//p" "$2" 2>/dev/null | head -n 1 | sed "s/^[\"']//; s/[\"']\$//"; }

image_version() { value_of IMAGE_VERSION /usr/lib/os-release; }
image_id() { value_of IMAGE_ID /usr/lib/os-release; }

# The old content or the new one, whatever happens in between.
store() { cat >"$1.part" && sync "$1.part" && mv "$1.part" "$1" && sync "${1%/*}"; }

# One line, printable, short: it goes into a message.
tidy() { tr -c '\40-\176' ' ' | tr -s ' ' | cut -c1-300 | sed 's/ *$//'; }

# What became of the last update: result (installing, installed, confirmed, refused, failed, rolled_back), text. The id and the
# version are those of REQUEST_ID and REQUEST_VERSION.
tell_last() {
    printf 'last_id=%s\nlast_version=%s\nlast_result=%s\nlast_text=%s\n' "$REQUEST_ID" "$REQUEST_VERSION" "$1" "$(printf %s "$2" | tidy)" | store $LAST
    tell_state
}

# Writes STATE anew; TRIAL says whether the running slot is yet to prove itself.
tell_state() {
    mkdir -p "${STATE%/*}"
    {
        printf 'updater=rauc\nslot=%s\ntrial=%s\n' "$(booted_slot)" "${TRIAL:-0}"
        for letter in A B; do
            printf 'version_%s=%s\ngood_%s=%s\n' $letter "$(cat $UPDATE/version.$letter 2>/dev/null)" $letter "$(cat /run/picket-update/good.$letter 2>/dev/null)"
        done
        cat $LAST 2>/dev/null
    } >$STATE.part
    chmod 644 $STATE.part
    mv $STATE.part $STATE
}

# Which slots the boot loader would start, as RAUC says, into /run/picket-update/good.X. A slot that was only tried counts as not good.
look_at_slots() {
    rauc status --output-format=shell >/run/picket-update/rauc 2>/dev/null || return 0
    for number in $(value_of RAUC_SYSTEM_SLOTS /run/picket-update/rauc | wc -w | xargs seq 1); do
        letter=$(value_of "RAUC_SLOT_BOOTNAME_$number" /run/picket-update/rauc)
        good=0
        [ "$(value_of "RAUC_SLOT_BOOT_STATUS_$number" /run/picket-update/rauc)" = good ] && good=1
        [ -n "$letter" ] && echo $good >/run/picket-update/good.$letter
    done
}
