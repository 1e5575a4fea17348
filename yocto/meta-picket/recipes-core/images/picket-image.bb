SUMMARY = "Encoder box with Picket: read-only root in two slots, data, updates"
DESCRIPTION = "The same partitions, slots, folders on the data partition and RAUC configuration as the image of board/: \
board/common/layout.toml says them. Add the encoder to it by IMAGE_INSTALL:append."

require picket-image.inc
