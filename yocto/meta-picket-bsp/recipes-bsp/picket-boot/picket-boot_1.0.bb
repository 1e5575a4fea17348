SUMMARY = "U-Boot's script that chooses the slot of a Picket appliance"
DESCRIPTION = "boot.scr for the boot partition. On the Raspberry Pi meta-raspberrypi's rpi-u-boot-scr makes it of the same file."
SECTION = "bootloaders"
LICENSE = "Apache-2.0 | MIT"
LIC_FILES_CHKSUM = "file://${PICKET_CHECKOUT}/LICENSE-APACHE;md5=3b83ef96387f14655fc854ddc3c6bd57"

DEPENDS = "u-boot-tools-native"

SRC_URI = "file://boot.cmd.in"

S = "${UNPACKDIR}"

inherit deploy features_check nopackages

REQUIRED_DISTRO_FEATURES = "picket"
PACKAGE_ARCH = "${MACHINE_ARCH}"

PICKET_CONSOLE ??= ""
PICKET_KERNEL_OPTIONS ??= ""
# "slot": beside the kernel; "firmware": whoever started U-Boot hands it over.
PICKET_FDT ??= "slot"
PICKET_DTB ?= "${@os.path.basename(((d.getVar('KERNEL_DEVICETREE') or '').split() or ['none.dtb'])[0])}"

do_configure[noexec] = "1"

do_compile() {
    sed -e 's|@CONSOLE@|${@'console=' + d.getVar('PICKET_CONSOLE') if d.getVar('PICKET_CONSOLE') else ''}|' \
        -e 's|@OPTIONS@|${PICKET_KERNEL_OPTIONS}|' -e 's|@FDT@|${PICKET_FDT}|' -e 's|@DTB@|${PICKET_DTB}|' ${UNPACKDIR}/boot.cmd.in > ${B}/boot.cmd
    mkimage -A arm64 -T script -C none -n "Picket" -d ${B}/boot.cmd ${B}/boot.scr
}

do_install[noexec] = "1"

do_deploy() {
    install -D -m 644 ${B}/boot.scr ${DEPLOYDIR}/boot.scr
}
addtask deploy after do_compile before do_build
