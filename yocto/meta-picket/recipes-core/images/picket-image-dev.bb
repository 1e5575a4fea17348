SUMMARY = "picket-image to develop with: root without a password, tools, vivid"
DESCRIPTION = "Never ship it: whoever reaches its console or its network is root. Larger slots, for larger tools; its capture device is \
the kernel's own test driver."

require picket-image.inc

REQUIRED_DISTRO_FEATURES += "picket-dev"

IMAGE_INSTALL += "packagegroup-picket-dev-tools"
# This image is for a bench: an open door is its purpose.
# nooelint: oelint.var.badimagefeature
IMAGE_FEATURES += "allow-empty-password allow-root-login empty-root-password serial-autologin-root ssh-server-dropbear"
PICKET_SLOT_SIZE = "256M"
