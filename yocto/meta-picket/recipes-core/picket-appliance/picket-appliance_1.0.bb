SUMMARY = "Start, settings and updates of a Picket appliance, as in board/"
DESCRIPTION = "Services for settings from the PICKET partition, for updates and their confirmation, and for the growth of the data \
partition: the same files as in the image of board/, out of board/common/files. picket-init is the Yocto image's own; the kernel is \
started with init=/usr/sbin/picket-init."
SECTION = "base"
LICENSE = "Apache-2.0 | MIT"
LIC_FILES_CHKSUM = "file://${PICKET_CHECKOUT}/LICENSE-APACHE;md5=3b83ef96387f14655fc854ddc3c6bd57"

# nooelint: oelint.vars.fileextrapaths,oelint.vars.outofcontext - the files stand once in this repository, outside of the layer
FILESEXTRAPATHS:prepend := "${PICKET_CHECKOUT}/board:"
SRC_URI = " \
    file://common/files \
    file://image/files/etc/systemd \
    file://image/files/etc/sysctl.d \
    file://picket-init \
"

S = "${UNPACKDIR}"

inherit features_check

REQUIRED_DISTRO_FEATURES = "systemd"
# The machine decides what RAUC and the boot loader need.
PACKAGE_ARCH = "${MACHINE_ARCH}"

do_configure[noexec] = "1"
do_compile[noexec] = "1"

# Started by links beside the units: they have no [Install], because board/ sets links as well.
PICKET_UNITS = "picket-card.service picket-confirm.service picket-grow.service picket-update.path"

do_install() {
    install -D -m 755 ${UNPACKDIR}/picket-init ${D}${sbindir}/picket-init
    install -d ${D}${nonarch_libdir} ${D}${sysconfdir} ${D}${systemd_system_unitdir}/multi-user.target.wants
    cp -R --no-preserve=ownership,timestamps ${UNPACKDIR}/common/files/usr/lib/. ${D}${nonarch_libdir}/
    cp -R --no-preserve=ownership,timestamps ${UNPACKDIR}/image/files/etc/. ${D}${sysconfdir}/
    for unit in ${PICKET_UNITS}; do
        test -e ${D}${systemd_system_unitdir}/$unit || bbfatal "board/common/files has no unit $unit"
        ln -s ../$unit ${D}${systemd_system_unitdir}/multi-user.target.wants/$unit
    done
}

FILES:${PN} += "${nonarch_libdir}"

# The scripts are written for busybox; mounts by PARTLABEL and fstab's x- options are util-linux's and systemd's.
RDEPENDS:${PN} = " \
    busybox \
    e2fsprogs-e2fsck \
    picket \
    util-linux-mount \
    util-linux-mountpoint \
    util-linux-umount \
"
