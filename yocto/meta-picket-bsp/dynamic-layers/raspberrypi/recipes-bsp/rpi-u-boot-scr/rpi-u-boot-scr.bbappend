require ${@bb.utils.contains('DISTRO_FEATURES', 'picket', 'rpi-u-boot-scr-picket.inc', '', d)}
