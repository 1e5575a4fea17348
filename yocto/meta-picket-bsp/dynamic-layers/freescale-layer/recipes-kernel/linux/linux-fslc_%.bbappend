require ${@bb.utils.contains('DISTRO_FEATURES', 'picket', 'linux-picket-imx.inc', '', d)}
