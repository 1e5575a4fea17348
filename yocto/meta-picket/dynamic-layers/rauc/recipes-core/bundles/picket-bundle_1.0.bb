SUMMARY = "Signed update of picket-image for RAUC"
DESCRIPTION = "Set RAUC_KEY_FILE and RAUC_CERT_FILE in your build's configuration; no key is in the layer. The box takes a bundle only \
with the compatible string of its board, signed by a certificate of its keyring."
LICENSE = "Apache-2.0 | MIT"

inherit bundle features_check

REQUIRED_DISTRO_FEATURES = "picket rauc"

RAUC_BUNDLE_FORMAT = "verity"
RAUC_BUNDLE_COMPATIBLE = "${PICKET_COMPATIBLE}"
RAUC_BUNDLE_VERSION = "${PICKET_IMAGE_VERSION}"
RAUC_BUNDLE_SLOTS = "rootfs"
RAUC_SLOT_rootfs = "picket-image"
RAUC_SLOT_rootfs[fstype] = "squashfs"
# Compressed already.
BUNDLE_ARGS += "--mksquashfs-args='-noI -noD -noF -noX'"
