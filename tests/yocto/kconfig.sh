#!/usr/bin/env bash
# kconfig.sh FOLDER: each kernel fragment of the layers must hold from `allnoconfig`, so that it brings its own dependencies along.
# Debian's kernel source stands in for the boards' (a newer one by LINUX_SOURCE=linux-source-6.12). What that kernel does not know
# yet is named and left out.
set -euo pipefail
cd "$(dirname "$0")/../.."

folder=$1
package=${LINUX_SOURCE:-linux-source-6.12}
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
tree=$folder/$package
if [[ ! -f $tree/Kconfig ]]; then
    rm -rf "$folder/deb" "$tree.part"
    mkdir -p "$folder/deb" "$tree.part"
    if ! (cd "$folder/deb" && timeout 600 apt-get -q download "$package"); then
        echo "kconfig: SKIPPED: Debian's $package could not be downloaded"
        exit 0
    fi
    dpkg-deb -x "$folder"/deb/*.deb "$folder/deb/x"
    # Only what configuring reads.
    tar -xJf "$folder"/deb/x/usr/src/linux-source-*.tar.xz -C "$tree.part" --strip-components=1 --wildcards \
        '*/Kconfig*' '*/Makefile*' '*/Kbuild*' '*/scripts/*' '*/arch/arm64/configs/*' '*/arch/arm64/include/asm/*' '*.include'
    rm -rf "$folder/deb"
    mv "$tree.part" "$tree"
fi

failed=0
mapfile -t fragments < <(find yocto -name '*.cfg' -path '*recipes-kernel*' | LC_ALL=C sort)
base=yocto/meta-picket/recipes-kernel/linux/files/picket.cfg
for fragment in "${fragments[@]}"; do
    out=$folder/out
    rm -rf "$out"
    mkdir -p "$out"
    make -s -C "$tree" O="$out" ARCH=arm64 allnoconfig >"$folder/log" 2>&1 || { cat "$folder/log" >&2; exit 3; }
    # A board's comes on top of the common one, as in a build.
    if [[ $fragment == "$base" || $fragment == *-dev.cfg ]]; then cat "$fragment"; else cat "$base" "$fragment"; fi >>"$out/.config"
    make -s -C "$tree" O="$out" ARCH=arm64 olddefconfig >"$folder/log" 2>&1 || { cat "$folder/log" >&2; exit 3; }
    lost=() unknown=()
    while read -r line; do
        name=${line%%=*}
        if grep -qxF -- "$line" "$out/.config"; then continue; fi
        if grep -rqxE "[[:space:]]*(menu)?config ${name#CONFIG_}" "$tree" --include='Kconfig*'; then lost+=("$line"); else unknown+=("$name"); fi
    done < <(grep -E '^CONFIG_' "$fragment")
    count=$(grep -cE '^CONFIG_' "$fragment")
    if ((${#lost[@]} > 0)); then
        echo "FAIL $fragment: a dependency is missing for ${lost[*]}"
        failed=1
    else
        echo "ok   $fragment: $((count - ${#unknown[@]})) of $count options hold on $package"
    fi
    if ((${#unknown[@]} > 0)); then echo "       skipped, not in that kernel: ${unknown[*]}"; fi
done
exit "$failed"
