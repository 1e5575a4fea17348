SUMMARY = "EDID for HDMI inputs that have none of their own, set when the device appears"
DESCRIPTION = "PICKET_EDID names it: hdmi-1080p50 for two CSI lanes, hdmi-1080p60 otherwise; a board may bring a file of its own. Made by \
yocto/tools/edid.py, which says what stands in it."
SECTION = "multimedia"
LICENSE = "Apache-2.0 | MIT"
LIC_FILES_CHKSUM = "file://${PICKET_CHECKOUT}/LICENSE-APACHE;md5=3b83ef96387f14655fc854ddc3c6bd57"

PICKET_EDID ??= "hdmi-1080p50"

SRC_URI = " \
    file://${PICKET_EDID}.hex \
    file://60-picket-edid.rules \
    file://picket-edid@.service \
"

S = "${UNPACKDIR}"

inherit features_check

REQUIRED_DISTRO_FEATURES = "systemd"
PACKAGE_ARCH = "${MACHINE_ARCH}"

do_configure[noexec] = "1"
do_compile[noexec] = "1"

# Not SYSTEMD_SERVICE: udev starts the unit when the device is there.
do_install() {
    install -D -m 644 ${UNPACKDIR}/${PICKET_EDID}.hex ${D}${nonarch_libdir}/picket/edid.hex
    install -D -m 644 ${UNPACKDIR}/60-picket-edid.rules ${D}${nonarch_base_libdir}/udev/rules.d/60-picket-edid.rules
    install -D -m 644 ${UNPACKDIR}/picket-edid@.service ${D}${systemd_system_unitdir}/picket-edid@.service
}

FILES:${PN} += "${nonarch_libdir}/picket ${nonarch_base_libdir}/udev ${systemd_system_unitdir}"

RDEPENDS:${PN} = "v4l-utils"
