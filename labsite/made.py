"""What something was made of, to know whether it has to be made anew. Must not know what is made."""
import hashlib
from collections.abc import Iterable
from pathlib import Path


def made_of_files(files: Iterable[Path]) -> str:
    """Changes with the name, the order and the content of each."""
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
