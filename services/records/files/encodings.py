"""Which encoding a file has, and its text, piece by piece."""

import codecs
from collections.abc import Callable

from charset_normalizer import from_bytes

from services.records.files.errors import UnknownEncoding

# So much of a file says which encoding it has.
BEGINNING_BYTES = 64 * 1024
# Half of a surrogate pair, which no text has: it stands where bytes made no character, and no cell may hold it.
UNDECODABLE = "\udcff"
# Rather than the 99 that Python knows: what programs that write tables use.
_WITHOUT_MARK = ["cp1252", "cp1250", "cp1251", "mac_roman", "cp932", "gb18030", "big5", "euc_kr", "cp1253", "cp1254"]
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# The usual one is taken unless another makes so much more sense of the letters (0 to 1).
_USUAL = "cp1252"
_MORE_SENSE = 0.02
_ERRORS = "smb_crm_undecodable"


def _mark_undecodable(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return UNDECODABLE, error.end


codecs.register_error(_ERRORS, _mark_undecodable)


def detect(beginning: bytes) -> str:
    """Name the encoding of a file that begins so: by its mark, else UTF-8 where that fits, else the likeliest."""
    for mark, encoding in _MARKS:
        if beginning.startswith(mark):
            return encoding
    if beginning.count(0) > len(beginning) // 8:
        # Letters of the Latin alphabet have a zero in every second byte.
        return "utf-16-le" if beginning[1::2].count(0) >= beginning[::2].count(0) else "utf-16-be"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(beginning)
    except UnicodeDecodeError:
        return _likeliest(beginning)
    return "utf-8"


def _likeliest(beginning: bytes) -> str:
    """The encoding in which the lines that are not ASCII make most sense."""
    telling = b"\n".join(line for line in beginning.split(b"\n") if not line.isascii())
    sense = {match.encoding: match.coherence for match in from_bytes(telling, cp_isolation=_WITHOUT_MARK)}
    if not sense:
        return _USUAL
    best = next(iter(sense))
    return _USUAL if _USUAL in sense and sense[best] - sense[_USUAL] <= _MORE_SENSE else best


def known(encoding: str) -> str:
    """Give the encoding of this name. Raises UnknownEncoding."""
    try:
        b"a".decode(encoding, "replace")
    except (LookupError, ValueError):
        raise UnknownEncoding(encoding) from None
    name = codecs.lookup(encoding).name
    # A mark at the beginning is no part of the text.
    return "utf-8-sig" if name == "utf-8" else name


def decoder(encoding: str) -> Callable[[bytes, bool], str]:
    """Give what decodes the next bytes of a file (and tells that they are the last ones).

    Bytes that make no character become UNDECODABLE, so that the cell they stand in is refused, and no other.
    """
    return codecs.getincrementaldecoder(encoding)(_ERRORS).decode
