SUMMARY = "Picture, sound and sync monitoring on the encoder box, with alerts over MQTT"
SUMMARY:${PN}-fleet = "The fleet page and examples for the broker's side; not for the box"
DESCRIPTION = "One daemon beside the encoder: finds black, frozen and damaged pictures, silence and lost streams, \
and tells them over MQTT, each once, with a picture of the moment."
SECTION = "multimedia"
# The crates that are linked in have licences of their own: deny.toml names all that are allowed.
LICENSE = "Apache-2.0 | MIT"
LIC_FILES_CHKSUM = " \
    file://LICENSE-APACHE;md5=3b83ef96387f14655fc854ddc3c6bd57 \
    file://LICENSE-MIT;md5=0fa5878cc2384b203c3268d095de0caf \
"

# ffmpeg: libavcodec, libavformat, libavutil, libswscale; conf/fragments/ffmpeg-lean.conf is all that Picket needs of it.
# clang-native: bindgen reads FFmpeg's and the kernel's headers.
DEPENDS = "alsa-lib clang-native ffmpeg"

# The layer stands in the daemon's repository, so what pins the layer (kas, a submodule, a tag) pins the sources: the commit that
# is checked out, never a branch, and nothing that is uncommitted. To fetch from elsewhere set both PICKET_GIT and SRCREV.
PICKET_GIT ?= "git://${PICKET_CHECKOUT};protocol=file"
SRC_URI = "${PICKET_GIT};nobranch=1"
SRCREV = "${@picket_commit(d)}"

require picket-crates.inc

inherit cargo cargo-update-recipe-crates pkgconfig systemd useradd

def picket_commit(d):
    """The commit that PICKET_CHECKOUT has checked out; the recipe is parsed anew when that changes."""
    import subprocess
    checkout = d.getVar("PICKET_CHECKOUT")
    def git(*arguments):
        said = subprocess.run(["git", "-C", checkout, *arguments], capture_output=True, text=True)
        return said.stdout.strip() if said.returncode == 0 else None
    commit = git("rev-parse", "--verify", "HEAD^{commit}")
    if not commit:
        # Not an error: who has the layer for something else need not have its history.
        raise bb.parse.SkipRecipe("%s is no git checkout: set PICKET_GIT and SRCREV:pn-picket" % checkout)
    for name in ("HEAD", "logs/HEAD"):
        path = git("rev-parse", "--git-path", name)
        bb.parse.mark_dependency(d, os.path.join(checkout, path))
    return commit

# Only Picket's own Cargo.lock counts for `bitbake -c update_crates`.
CARGO_LOCK_SRC_DIR = "${S}"

export LIBCLANG_PATH = "${STAGING_LIBDIR_NATIVE}"
BINDGEN_EXTRA_CLANG_ARGS = "${HOST_CC_ARCH}${TOOLCHAIN_OPTIONS} --target=${TARGET_SYS}"
export BINDGEN_EXTRA_CLANG_ARGS

# The project's own rule, so that packages and this recipe install the same files. The library is for Picket's tests only.
do_install() {
    oe_runmake -C ${S} install DESTDIR=${D} PREFIX=${prefix} SYSCONFDIR=${sysconfdir} UNITDIR=${systemd_system_unitdir} \
        BINARY=${B}/target/${CARGO_TARGET_SUBDIR}/picket
}

PACKAGE_BEFORE_PN = "${PN}-fleet"
FILES:${PN}-fleet += "${datadir}/picket/fleet ${docdir}/picket/examples"
FILES:${PN} += "${nonarch_libdir}/sysusers.d ${nonarch_libdir}/tmpfiles.d"
CONFFILES:${PN} = "${sysconfdir}/picket/picket.toml"

SYSTEMD_SERVICE:${PN} = "picket.service"

# As systemd/picket.sysusers says, but at build time: a read-only root cannot add a user. A fixed number comes from
# conf/fragments/appliance.conf, because the files on the data partition outlive the slot that wrote them.
USERADD_PACKAGES = "${PN}"
GROUPADD_PARAM:${PN} = "--system picket"
USERADD_PARAM:${PN} = " \
    --system --gid picket --groups video,audio --no-create-home \
    --home-dir ${localstatedir}/lib/picket --shell ${base_sbindir}/nologin --comment Picket picket \
"

RDEPENDS:${PN} += "ca-certificates"
# The driver of USB grabbers, where the kernel has it as a module.
RRECOMMENDS:${PN}:append:class-target = " kernel-module-uvcvideo"
