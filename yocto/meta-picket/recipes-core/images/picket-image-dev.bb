require picket-image.bb

REQUIRED_DISTRO_FEATURES += "picket-dev"

SUMMARY = "picket-image to develop with: a shell without a password, tools, and the kernel's test capture driver"
DESCRIPTION = "Never ship it: whoever reaches its console or its network is root."

IMAGE_INSTALL += "packagegroup-picket-dev-tools"
IMAGE_FEATURES += " \
    allow-empty-password \
    allow-root-login \
    empty-root-password \
    serial-autologin-root \
    ssh-server-dropbear \
"
# Larger tools, larger slots.
PICKET_SLOT_SIZE = "256M"
