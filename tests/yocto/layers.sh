#!/usr/bin/env bash
# layers.sh FOLDER: what needs the layers below ours, as sources. Each stage whose inputs are missing says "skip" and why.
#
#   BITBAKE_DIR   checkout of bitbake, branch 2.18          OECORE_DIR   checkout of openembedded-core, branch wrynose
#   LAYERS        further layers, by folders, in any order: meta-openembedded/meta-oe, meta-rauc, a board's (meta-raspberrypi, ...)
#   MACHINE       qemuarm64 (default), raspberrypi4-64, imx8mp-lpddr4-evk, rock-5b
#   STAGES        of: parse graph fetch native ycl (default: all but ycl, which takes long)
#
# parse   bitbake -p: every recipe of all layers
# graph   bitbake -g: every dependency of picket-image, picket-image-dev and picket-bundle
# fetch   the daemon's sources and crates, network off, from cargo's cache
# native  the daemon's recipe compiled for this machine with this machine's cargo, compiler and FFmpeg
# ycl     yocto-check-layer on both layers
# Host packages besides `make setup`'s: chrpath diffstat gawk cpio locales texinfo zstd lz4 file, and the locale en_US.UTF-8.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD

folder=$1
MACHINE=${MACHINE:-qemuarm64}
read -ra stages <<<"${STAGES:-parse graph fetch native}"
read -ra extra <<<"${LAYERS:-}"
if [[ -z ${BITBAKE_DIR:-} || -z ${OECORE_DIR:-} || ! -d ${BITBAKE_DIR:-}/lib/bb || ! -d ${OECORE_DIR:-}/meta ]]; then
    for stage in "${stages[@]}"; do echo "skip $stage: BITBAKE_DIR and OECORE_DIR name no checkouts"; done
    exit 0
fi
case $MACHINE in
    qemuarm64) fragment=qemuarm64 ;;
    raspberrypi4-64) fragment=raspberrypi4 ;;
    imx8mp-*) fragment=imx8mp ;;
    *) fragment=rk3588 ;;
esac
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)

# A build folder for a machine without a network. Root is refused by sanity.bbclass unless conf/sanity.conf is there.
make_build() { # folder fragments layers...
    local dir=$1 fragments=$2 layer
    shift 2
    mkdir -p "$dir/conf"
    # shellcheck disable=SC2016 # BitBake's own variable
    {
        printf 'LCONF_VERSION = "7"\nBBPATH = "${TOPDIR}"\nBBFILES ?= ""\nBBLAYERS = " \\\n'
        for layer in "$OECORE_DIR/meta" "$@"; do printf '    %s \\\n' "$layer"; done
        printf '"\n'
    } >"$dir/conf/bblayers.conf"
    cat >"$dir/conf/local.conf" <<CONF
CONF_VERSION = "2"
MACHINE = "$MACHINE"
DISTRO = "nodistro"
OE_FRAGMENTS = "$fragments"
BB_NO_NETWORK = "1"
CONNECTIVITY_CHECK_URIS = ""
INHERIT_DISTRO:remove = "uninative"
BB_SRCREV_POLICY = "cache"
LICENSE_FLAGS_ACCEPTED = "commercial_ffmpeg"
RAUC_KEY_FILE = "/nonexistent.key.pem"
RAUC_CERT_FILE = "/nonexistent.cert.pem"
CONF
    if ((EUID == 0)); then : >"$dir/conf/sanity.conf"; fi
}

oe() { # folder log command...
    local dir=$1 log=$folder/$2.log
    shift 2
    (cd "$dir" && timeout "${LIMIT:-3600}" env -i HOME="$dir" TERM=dumb LANG=en_US.UTF-8 LC_ALL=en_US.UTF-8 PYTHONDONTWRITEBYTECODE=1 \
        PATH="$dir/hostbin:$OECORE_DIR/scripts:$BITBAKE_DIR/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin" BBPATH="$dir" BUILDDIR="$dir" "$@") >"$log" 2>&1
}

failed=0
stage() { # name text folder command...
    local name=$1 text=$2 began=$SECONDS
    shift 2
    if oe "$1" "$name" "${@:2}"; then
        echo "ok   $name: $text, $((SECONDS - began)) s"
    else
        failed=1
        echo "FAIL $name: $text ($folder/$name.log)"
        grep -E '^ERROR|Nothing (R?PROVIDES)|^Missing or unbuildable|^INFO: FAIL' "$folder/$name.log" | cut -c1-200 | head -12 | sed 's/^/       /' || true
    fi
}

build=$folder/build
make_build "$build" "picket/appliance picket/ffmpeg-lean picket/development picket-bsp/$fragment" "${extra[@]}" "$root/yocto/meta-picket" "$root/yocto/meta-picket-bsp"

# The daemon's recipe alone: all that it needs of openembedded-core's recipes is this machine's.
native=$folder/native
make_native() {
    local tool bin
    rm -rf "$native"
    make_build "$native" "" "$folder/native-layer"
    rm -rf "$folder/native-layer"
    cp -a "$root/yocto/meta-picket" "$folder/native-layer"
    find "$folder/native-layer" -name '*.bbappend' -delete
    rm -rf "$folder/native-layer/dynamic-layers"
    sed -i -E 's/^(LAYERDEPENDS_picket =).*/\1 "core"/; /^LAYERRECOMMENDS_/d; s#^(PICKET_CHECKOUT =).*#\1 "'"$root"'"#' "$folder/native-layer/conf/layer.conf"
    mkdir -p "$native/hostbin" "$native/downloads"
    printf '#!/bin/sh\nexec python3 "$@"\n' >"$native/hostbin/nativepython3"
    chmod +x "$native/hostbin/nativepython3"
    bin=$(board/cargo.sh --where)
    for tool in cargo rustc; do ln -s "$bin/$tool" "$native/hostbin/$tool"; done
    board/cargo.sh fetch --locked --quiet
    find "${CARGO_HOME:-$HOME/.cargo}/registry/cache" -name '*.crate' -exec ln -sft "$native/downloads" {} +
    cat >>"$native/conf/local.conf" <<CONF
DL_DIR = "$native/downloads"
INHERIT_DISTRO:remove = "create-spdx buildstats"
BBCLASSEXTEND:append:pn-picket = " native"
LIBCLANG_PATH:pn-picket-native = "$(find /usr/lib/llvm-*/lib -maxdepth 1 -name 'libclang*.so*' -printf '%h\n' | sort -V | tail -n 1)"
PKG_CONFIG_PATH:pn-picket-native = "$(pkg-config --variable pc_path pkg-config)"
PKG_CONFIG_LIBDIR:pn-picket-native = "$(pkg-config --variable pc_path pkg-config)"
RDEPENDS:picket-native:forcevariable = ""
RRECOMMENDS:picket-native:forcevariable = ""
BBMASK += "^$OECORE_DIR/meta/(?!recipes-devtools/(cargo|rust|quilt|pkgconf|pseudo)/|recipes-core/(glibc|base-passwd|base-files|systemd|dbus)/|recipes-extended/shadow/)"
BBMASK += "^$folder/native-layer/(?!recipes-picket/)"
HOSTTOOLS += "cargo rustc pkg-config nativepython3"
ASSUME_PROVIDED += "cargo-native rust-native clang-native ffmpeg-native alsa-lib-native pkgconf-native pkgconfig-native quilt-native patch-native python3-native virtual/fakeroot-native systemd-systemctl-native shadow-native"
CONF
}

for name in "${stages[@]}"; do
    case $name in
        parse) stage parse "bitbake -p on $MACHINE" "$build" bitbake -p ;;
        graph)
            targets=(picket-image picket-image-dev)
            if [[ " ${extra[*]} " == *meta-rauc* ]]; then targets+=(picket-bundle); else echo "skip graph of picket-bundle: no meta-rauc in LAYERS"; fi
            stage graph "every dependency of ${targets[*]}" "$build" bitbake -g "${targets[@]}"
            ;;
        fetch)
            make_native
            stage fetch "sources and crates, network off" "$native" bitbake picket-native -c fetch
            ;;
        native)
            [[ -d $native ]] || make_native
            stage native "compiled for this machine" "$native" bitbake picket-native -c compile
            ;;
        ycl)
            make_build "$folder/ycl" ""
            stage ycl "yocto-check-layer" "$folder/ycl" yocto-check-layer --no-auto-dependency --dependency "${extra[@]}" -- "$root/yocto/meta-picket" "$root/yocto/meta-picket-bsp"
            ;;
        *) echo "layers: no stage '$name'; there are: parse graph fetch native ycl" >&2; exit 2 ;;
    esac
done
exit "$failed"
