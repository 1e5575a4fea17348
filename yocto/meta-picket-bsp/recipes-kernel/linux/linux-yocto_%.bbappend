require ${@bb.utils.contains('DISTRO_FEATURES', 'picket', 'linux-picket-bsp.inc', '', d)}
