# shellcheck shell=dash source=/dev/null
# The same through the multi-planar interface, where a picture may lie in several pieces of memory.
export PLANES=2 FORMATS=formats-mplane
. /lab/scripts/formats.sh
