SUMMARY = "Where U-Boot keeps the tries of the slots, for fw_setenv and so for RAUC"
DESCRIPTION = "A file on the boot partition, of the size that recipes-bsp/u-boot/files/picket.cfg gives U-Boot."
SECTION = "base"
LICENSE = "Apache-2.0 | MIT"
LIC_FILES_CHKSUM = "file://${PICKET_CHECKOUT}/LICENSE-APACHE;md5=3b83ef96387f14655fc854ddc3c6bd57"

SRC_URI = "file://fw_env.config"

S = "${UNPACKDIR}"

do_configure[noexec] = "1"
do_compile[noexec] = "1"

do_install() {
    install -D -m 644 ${UNPACKDIR}/fw_env.config ${D}${sysconfdir}/fw_env.config
}

RDEPENDS:${PN} = "libubootenv-bin picket-appliance"
