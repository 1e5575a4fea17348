"""What the image is to look like: board/common/layout.toml and board/NAME/board.toml."""
import tomllib
from pathlib import Path

BOARD = Path(__file__).resolve().parents[1]
# Of systemd's discoverable partitions, and UEFI's.
TYPES = {"esp": "c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "slot": "b921b045-1df0-41c3-af44-4c6f280d3fae",
         "config": "ebd0a0a2-b9e5-4433-87c0-68b6b72699c7", "data": "0fc63daf-8483-4772-8e79-3d69d8477de4"}


def elsewhere(board):
    """Where somebody with such a board gets on."""
    kas = BOARD.parent / f"yocto/kas/{board}.yml"
    if kas.is_file():
        return f"the Yocto layer makes it: yocto/kas/{kas.name} (yocto/README.md)"
    return "nor does the Yocto layer: install the program on the vendor's own system ('make cross', 'make install')"


class Layout:
    """Both files, and what follows from them."""

    def __init__(self, board):
        path = BOARD / board / "board.toml"
        if not path.is_file():
            known = ", ".join(sorted(p.parent.name for p in BOARD.glob("*/board.toml")))
            raise ValueError(f"there is no board {board!r}; there are {known}")
        self.name = board
        self.board = tomllib.loads(path.read_text())
        self.common = tomllib.loads((BOARD / "common/layout.toml").read_text())
        self.image = self.board["image"]
        if not self.image["make"]:
            raise ValueError(f"{board} ({self.board['title']}): no image can be made here, as Debian's kernel lacks its capture hardware; {elsewhere(board)}")

    @property
    def compatible(self):
        return self.common["compatible_prefix"] + self.name

    def partitions(self):
        """(name, type, MiB) in the order on the medium; `data` is the last and grows."""
        sizes, names = self.common["sizes_mib"], self.common["partitions"]
        slots = [(slot["partition"], TYPES["slot"], sizes["slot"]) for slot in self.common["slots"]]
        return [(names["esp"], TYPES["esp"], self.image["esp_mib"]), *slots, (names["config"], TYPES["config"], sizes["config"]),
                (names["data"], TYPES["data"], sizes["data_at_first"])]

    def system_conf(self):
        """RAUC's configuration for this board."""
        options = {"grub-efi": ("grub", "grubenv=/boot/efi/grub/grubenv")}[self.image["boot"]]
        text = (BOARD / "common/system.conf.in").read_text()
        told = {"COMPATIBLE": self.compatible, "BOOTLOADER": options[0], "BOOTLOADER_OPTIONS": options[1], "KEYRING": "/etc/rauc/keyring.pem"}
        for key, value in told.items():
            text = text.replace(f"@{key}@", value)
        return text
