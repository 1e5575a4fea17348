SUMMARY = "Encoder box with Picket: read-only root in two slots, a data partition, updates by RAUC"
DESCRIPTION = "The same partitions, slots, folders on the data partition and RAUC configuration as the image of board/: \
board/common/layout.toml says them. Add the encoder to it (IMAGE_INSTALL:append)."
LICENSE = "Apache-2.0 | MIT"

inherit core-image features_check

REQUIRED_DISTRO_FEATURES = "picket rauc systemd"

# Set, not appended to: the default brings packagegroup-base-extended.
IMAGE_INSTALL = "packagegroup-core-boot packagegroup-picket packagegroup-picket-update ${CORE_IMAGE_EXTRA_INSTALL}"
IMAGE_LINGUAS = ""
IMAGE_FEATURES += "read-only-rootfs"
BAD_RECOMMENDATIONS += "rauc-mark-good"

# One compressed root, written to a slot as it is: `type=raw` of RAUC. gzip, because every boot loader that reads squashfs knows it.
IMAGE_FSTYPES = "squashfs wic.zst wic.bmap"
IMAGE_TYPEDEP:wic += "squashfs"
# Both of board/common/layout.toml: a slot holds 128 MiB, and a root of half of that is a failed build there; RAUC would refuse only the former.
PICKET_SLOT_SIZE ?= "128M"
IMAGE_ROOTFS_EXTRA_SPACE = "0"

# Of the image, so that no machine's own choice wins.
WKS_FILE = "picket.wks.in"
WKS_FILE_DEPENDS += "${PICKET_WKS_DEPENDS}"
PICKET_WKS_DEPENDS ??= ""
# A line for a boot loader outside all partitions, where the processor starts from the medium itself (yocto/meta-picket-bsp).
PICKET_WKS_LOADER ??= ""
PICKET_WKS_LOADER2 ??= ""
PICKET_BOOT_FILES ??= "boot.scr"
IMAGE_BOOT_FILES:append = " ${PICKET_BOOT_FILES}"

# Mount points for what picket-init finds, and for RAUC: nothing can be made on a read-only root later.
picket_mount_points() {
    install -d -m 755 ${IMAGE_ROOTFS}/data ${IMAGE_ROOTFS}/boot/efi ${IMAGE_ROOTFS}/boot/picket
    # systemd writes the number of the box here; picket-init lays the one of the data partition over it.
    : > ${IMAGE_ROOTFS}${sysconfdir}/machine-id
}
ROOTFS_POSTPROCESS_COMMAND += "picket_mount_points"
