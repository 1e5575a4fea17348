require ${@bb.utils.contains('DISTRO_FEATURES', 'picket', 'u-boot-fslc-picket.inc', '', d)}
