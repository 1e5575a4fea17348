SUMMARY = "Start of a Picket appliance: data partition, layer over /etc, identity"
SUMMARY:${PN}-mark-good = "Confirms a slot to the boot loader when Picket is well"
DESCRIPTION = "Grows the data partition at the first start, mounts the boot partition when it is needed, confirms a slot. What picket-image needs beside the daemon. The kernel is started with init=/usr/sbin/picket-init."
SECTION = "base"
LICENSE = "Apache-2.0 | MIT"
LIC_FILES_CHKSUM = "file://${PICKET_CHECKOUT}/LICENSE-APACHE;md5=3b83ef96387f14655fc854ddc3c6bd57"

SRC_URI = " \
    file://picket-init \
    file://picket-grow-data \
    file://picket-grow-data.service \
    file://picket-mark-good \
    file://picket-mark-good.service \
    file://boot-efi.automount \
    file://boot-efi.mount \
    file://boot-picket.mount \
"

S = "${UNPACKDIR}"

inherit features_check systemd

REQUIRED_DISTRO_FEATURES = "systemd"

do_configure[noexec] = "1"
do_compile[noexec] = "1"

do_install() {
    install -D -m 755 ${UNPACKDIR}/picket-init ${D}${sbindir}/picket-init
    install -D -m 755 ${UNPACKDIR}/picket-grow-data ${D}${libexecdir}/picket/grow-data
    install -D -m 755 ${UNPACKDIR}/picket-mark-good ${D}${libexecdir}/picket/mark-good
    install -d ${D}${systemd_system_unitdir}
    install -m 644 ${UNPACKDIR}/*.service ${UNPACKDIR}/*.mount ${UNPACKDIR}/*.automount ${D}${systemd_system_unitdir}
}

PACKAGE_BEFORE_PN = "${PN}-mark-good"
FILES:${PN}-mark-good += "${libexecdir}/picket/mark-good ${systemd_system_unitdir}/picket-mark-good.service"
FILES:${PN} += "${systemd_system_unitdir}"

SYSTEMD_PACKAGES = "${PN} ${PN}-mark-good"
SYSTEMD_SERVICE:${PN} = "picket-grow-data.service boot-efi.automount"
SYSTEMD_SERVICE:${PN}-mark-good = "picket-mark-good.service"

RDEPENDS:${PN} = " \
    e2fsprogs-e2fsck \
    e2fsprogs-resize2fs \
    util-linux-mount \
    util-linux-mountpoint \
    util-linux-partx \
    util-linux-sfdisk \
"
RDEPENDS:${PN}-mark-good = "picket rauc"
