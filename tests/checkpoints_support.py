"""What the tests of checkpoints look at them with."""


class Events(list):
    """What is reported: kinds and steps."""

    def __call__(self, kind, **values):
        self.append((kind, values.get("step")))


def names(checkpoints):
    """Return the names of the folders there are."""
    return sorted(folder.name for folder in checkpoints.folder.iterdir())


def flip(file):
    """Change one bit of a file."""
    data = bytearray(file.read_bytes())
    data[500] ^= 1
    file.write_bytes(data)
