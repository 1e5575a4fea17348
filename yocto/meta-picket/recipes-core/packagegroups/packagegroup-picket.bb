SUMMARY = "What an encoder box with Picket needs beside its encoder"
SUMMARY:${PN}-update = "Updates by RAUC"
SUMMARY:${PN}-dev-tools = "Tools for a bench, and vivid, the kernel's test capture driver"
DESCRIPTION = "The daemon, the start of the appliance (data partition, overlay for /etc), time, sound and, with RAUC, updates."

# kernel-image and kernel-devicetree are of the machine.
PACKAGE_ARCH = "${MACHINE_ARCH}"

inherit packagegroup features_check

REQUIRED_DISTRO_FEATURES = "picket systemd"

PACKAGES = "${PN} ${PN}-update ${PN}-dev-tools"

RDEPENDS:${PN} = " \
    alsa-utils-amixer \
    kernel-image \
    picket \
    picket-appliance \
    tzdata-core \
"
# With RAUC its D-Bus service and its own configuration; never rauc-mark-good, which confirms any boot that reaches multi-user.
RDEPENDS:${PN}-update = "dosfstools libubootenv-bin rauc rauc-service"

RDEPENDS:${PN}-dev-tools = " \
    alsa-utils \
    alsa-utils-speakertest \
    htop \
    kernel-module-vivid \
    media-ctl \
    strace \
    v4l-utils \
"

RRECOMMENDS:${PN} = "kernel-devicetree"
