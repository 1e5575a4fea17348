require ${@bb.utils.contains('DISTRO_FEATURES', 'picket', 'u-boot-picket.inc', '', d)}
