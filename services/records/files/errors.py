"""Why a file is refused as a whole. Nothing of it is kept then."""

from services.records.errors import Refused


class FileRefused(Refused):
    """The file can't be taken as it is; the field is its column, `file` or `mapping`."""


class UnknownColumn(FileRefused):
    """A column of the file is no field of an SMB, and no mapping says what it is."""

    def __init__(self, column: str, fields: str) -> None:
        super().__init__(column, f"is no field of an SMB; name it in the mapping, or use one of {fields}")


class ColumnTwice(FileRefused):
    """Two columns of the file are the same field."""

    def __init__(self, column: str, field: str) -> None:
        super().__init__(column, f"{field} is given by another column already")


class KeylessFile(FileRefused):
    """No column says which SMB a row is about."""

    def __init__(self) -> None:
        super().__init__("file", "has none of the columns id, external_id and primary_email, by which to know an SMB")


class WrongMapping(FileRefused):
    """The mapping names a column that the file does not have, or a field that does not exist."""

    def __init__(self, column: str, reason: str) -> None:
        super().__init__("mapping", f"{column!r}: {reason}")


class UnknownEncoding(FileRefused):
    """The encoding that the sender names does not exist."""

    def __init__(self, encoding: str) -> None:
        super().__init__("charset", f"{encoding!r} is no encoding that is known here")


class EmptyFile(FileRefused):
    """There is nothing in the file, not even a header."""

    def __init__(self) -> None:
        super().__init__("file", "is empty")


class BrokenHeader(FileRefused):
    """The first row of a CSV file can't be taken apart."""

    def __init__(self) -> None:
        super().__init__("file", "its header is not well-formed CSV: a quote is left open, or stands inside of a name")


class TooManyRows(FileRefused):
    """The file has more rows than an import may have."""

    def __init__(self, most: int) -> None:
        super().__init__("file", f"has more than {most:,} rows; split it")


class RowTooLong(FileRefused):
    """A row does not end within the longest length of one."""

    def __init__(self, line: int, most_characters: int) -> None:
        super().__init__("file", f"the row in line {line} is longer than {most_characters:,} characters")


class NotAnArray(FileRefused):
    """The file is no JSON array; what comes after the place that is wrong can't be read."""

    def __init__(self, reason: str) -> None:
        super().__init__("file", f"is not an array of JSON objects: {reason}")
