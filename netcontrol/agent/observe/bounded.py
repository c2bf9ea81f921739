"""JSON that somebody else wrote, made small. Must not know what it is about."""
import json
from collections.abc import Callable, Iterable, Iterator

MOST_TEXT, MOST_ITEMS, MOST_DEPTH, MOST_NUMBER = 300, 48, 6, 2**53
_decode = json.JSONDecoder().raw_decode


def dumps(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def small(value: object, depth: int = MOST_DEPTH) -> object:
    """The same value; what is too long, too many or too deep in it is left away, and so is what others would not take for JSON or text."""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, (list, dict)):
        if depth == 0:
            return None
        if isinstance(value, list):
            return [small(item, depth - 1) for item in value[:MOST_ITEMS]]
        return {_text(key): small(value[key], depth - 1) for key in list(value)[:MOST_ITEMS]}
    if isinstance(value, (int, float)) and not -MOST_NUMBER <= value <= MOST_NUMBER:  # NaN is not either
        return None
    return value


def _text(text: str) -> str:
    text = text[:MOST_TEXT]
    return text if text.isascii() else text.encode(errors="replace").decode()  # half a character


def arrays(text: str, most: int, wanted: Callable[[dict], bool] = bool) -> Iterator[tuple[list[dict], int]]:
    """Of each JSON array in the text: the first of the wanted objects in it, and how many more there are. One object at a time, so that a
    long array costs no memory. One that is broken off is the last."""
    at, whole = 0, True
    while whole and (at := text.find("[", at) + 1):
        kept: list[dict] = []
        more = 0
        while True:
            while text[at : at + 1] in (" ", "\n", ","):
                at += 1
            try:
                value, at = _decode(text, at)
            except (ValueError, RecursionError):
                break
            if not isinstance(value, dict) or not wanted(value):
                continue
            if len(kept) < most:
                kept.append(value)
            else:
                more += 1
        whole = text[at : at + 1] == "]"
        yield kept, more if whole else more + 1


class Texts:
    """JSON texts side by side, until the room for them is used up."""

    def __init__(self, room: int):
        self.room, self.kept, self.left_out = room, [], 0  # type: int, list[str], int

    def add(self, text: str, size: int = 0) -> bool:
        """False when it has no room. `size`: if it takes more than it is long."""
        size = max(size, len(text)) + 1
        if size > self.room:
            self.left_out += 1
            return False
        self.room -= size
        self.kept.append(text)
        return True

    def array(self) -> str:
        return f"[{','.join(self.kept)}]"


def array(objects: Iterable[object], room: int) -> tuple[str, int]:
    """As one JSON text, and how many had no room in it."""
    texts = Texts(room)
    for value in objects:
        texts.add(dumps(small(value)))
    return texts.array(), texts.left_out
