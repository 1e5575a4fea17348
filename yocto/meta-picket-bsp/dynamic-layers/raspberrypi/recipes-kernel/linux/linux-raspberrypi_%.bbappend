require ${@bb.utils.contains('DISTRO_FEATURES', 'picket', 'linux-picket-rpi.inc', '', d)}
