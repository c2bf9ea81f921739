"""The newest output of a shell, addressed by how many bytes the shell had printed before. Must not know what it holds."""


class Ring:
    """Grows as it is used, up to `cap` bytes; then the oldest go."""

    def __init__(self, cap: int, begin: int = 0):
        self.cap, self.begin, self.kept = cap, begin, bytearray()

    @property
    def end(self) -> int:
        return self.begin + len(self.kept)

    def append(self, data: bytes) -> None:
        self.kept += data
        over = len(self.kept) - self.cap
        if over > 0:
            del self.kept[:over]
            self.begin += over

    def read(self, offset: int, most: int) -> bytes:
        """Up to `most` bytes from `offset`, which must be kept still."""
        at = offset - self.begin
        assert 0 <= at <= len(self.kept)
        return bytes(self.kept[at : at + most])
