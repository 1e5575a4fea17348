require ${@bb.utils.contains('DISTRO_FEATURES', 'picket', 'rauc-conf_picket.inc', '', d)}
