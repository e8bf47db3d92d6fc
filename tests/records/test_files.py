"""Files as others write them: any encoding, delimiter and cut; what is broken costs its own row and no other."""

import itertools
import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.records.errors import InvalidField
from services.records.files.cells import FIELDS, MISSING, cell_reader, value_reader
from services.records.files.columns import CheckedRows
from services.records.files.encodings import detect
from services.records.files.errors import BrokenHeader, FileRefused, NotAnArray, UnknownEncoding
from services.records.files.reading import FileFormat, FileOfSmbs
from services.records.profiles import smb_from

NAMES = "external_id,business_name\na,Café Peña\nb,Müller's Straße\n"


def read(sent: bytes, file_format: FileFormat = FileFormat.CSV, cuts: Sequence[int] = ()) -> list[CheckedRows]:
    """What is read of a file that arrives in pieces, cut at these places."""
    file = FileOfSmbs(file_format, {})
    places = sorted({0, *(cut % (len(sent) + 1) for cut in cuts), len(sent)})
    found = [file.read(sent[start:end]) for start, end in itertools.pairwise(places)]
    return [*found, file.read(b"", is_last=True)]


def rows_of(found: Sequence[CheckedRows]) -> list[tuple[int, dict[str, Any]]]:
    """Line and values of every row."""
    return [
        (line, {name: column[place] for name, column in part.values.items() if column[place] is not None})
        for part in found
        for place, line in enumerate(part.lines)
    ]


def refused(found: Sequence[CheckedRows]) -> list[tuple[int, str | None]]:
    """Line and column of every refused row."""
    return [(row.line, row.column) for part in found for row in part.refused]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
def test_the_encoding_of_a_file_is_found(encoding: str) -> None:
    found = read(NAMES.encode(encoding))
    assert [row["business_name"] for _, row in rows_of(found)] == ["Café Peña", "Müller's Straße"]


def test_a_file_in_another_alphabet_is_read_as_well() -> None:
    names = "external_id,business_name\n" + "".join(f"{n},Кафе «Уют» на углу хлеб\n" for n in range(50))
    assert detect(names.encode("cp1251")) == "cp1251"
    assert rows_of(read(names.encode("cp1251")))[7][1]["business_name"] == "Кафе «Уют» на углу хлеб"


def test_an_encoding_that_the_sender_names_is_taken() -> None:
    file = FileOfSmbs(FileFormat.CSV, {}, "ISO-8859-5")
    found = [file.read("external_id,business_name\na,Уют\n".encode("iso-8859-5")), file.read(b"", is_last=True)]
    assert rows_of(found) == [(2, {"external_id": "a", "business_name": "Уют"})]
    for unknown in ("klingon", "base64", "hex"):
        with pytest.raises(UnknownEncoding):
            FileOfSmbs(FileFormat.CSV, {}, unknown)


def test_bytes_that_make_no_character_cost_their_row_alone() -> None:
    sent = "".join(f"{number},Café {number}\n" for number in range(20_000)).encode()
    sent = b"external_id,business_name\n" + sent.replace("19000,Café".encode(), b"19000,Caf\xe9")
    found = read(sent, cuts=[200_000])
    assert refused(found) == [(19_002, "business_name")]
    assert "encoding" in next(row.reason for part in found for row in part.refused)
    assert len(rows_of(found)) == 19_999


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_the_delimiter_and_the_ends_of_lines_are_found(delimiter: str, end: str) -> None:
    lines = [
        delimiter.join(cells)
        for cells in (
            [" External_ID ", "business_name", "services_activated", "business_description"],
            ["a", "One, two; three|four", "Chat", ""],
            [],
            ["b", "B", "", '"two' + end + 'lines, ""quoted"""'],
        )
    ]
    lines[1] = lines[1].replace("One, two; three|four", '"One, two; three|four"')
    found = read(end.join(lines).encode(), cuts=range(0, 150, 7))
    assert rows_of(found) == [
        (2, {"external_id": "a", "business_name": "One, two; three|four", "services_activated": '["Chat"]'}),
        (4, {"external_id": "b", "business_name": "B", "business_description": f'two{end}lines, "quoted"'}),
    ]


def test_a_quote_that_is_left_open_swallows_no_other_row() -> None:
    rows = [f"{number},Shop {number}" for number in range(30_000)]
    rows[10], rows[20] = '10,"Shop', '20,Sh"op'
    found = read(("external_id,business_name\n" + "\n".join(rows)).encode(), cuts=range(0, 600_000, 65_536))
    assert refused(found) == [(12, None)]
    assert len(rows_of(found)) == 29_999
    with pytest.raises(BrokenHeader):
        read(b'"external_id,business_name\na,Alma\n')


@given(st.lists(st.integers(0, 10_000), max_size=6), st.sampled_from(["csv", "lines", "array"]), st.data())
def test_however_a_file_is_cut_the_same_is_read(cuts: list[int], kind: str, data: st.DataObject) -> None:
    texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8)
    rows = data.draw(st.lists(st.fixed_dictionaries({"external_id": texts, "business_name": texts}), max_size=5))
    if kind == "csv":
        quoted = [",".join('"' + value.replace('"', '""') + '"' for value in row.values()) for row in rows]
        sent, file_format = "\r\n".join(["external_id,business_name", *quoted]), FileFormat.CSV
    elif kind == "lines":
        sent, file_format = "\n".join(map(json.dumps, rows)), FileFormat.JSON_LINES
    else:
        sent, file_format = json.dumps(rows, indent=1, ensure_ascii=False), FileFormat.JSON
    whole, cut = read(sent.encode(), file_format), read(sent.encode(), file_format, cuts)
    assert (rows_of(cut), refused(cut)) == (rows_of(whole), refused(whole))
    blank = sum(not (row["external_id"].strip() or row["business_name"].strip()) for row in rows)
    if kind == "csv":
        assert len(rows_of(cut)) + len(refused(cut)) == len(rows) - blank
    else:
        assert len(rows_of(cut)) + len(refused(cut)) <= len(rows)


def test_json_that_is_broken_costs_its_line_or_the_file() -> None:
    lines = b'{"external_id": "a"}\n{"external_id": \n[1]\n{"external_id": NaN}\n\n{"external_id": "b", "x": 1}\n{}\n'
    found = read(lines, FileFormat.JSON_LINES)
    assert rows_of(found) == [(1, {"external_id": "a"})]
    assert refused(found) == [(6, "x"), (2, None), (3, None), (4, None)]
    deep = b'{"external_id": "a"}\n{"business_context": ' + b"[" * 100_000
    assert refused(read(deep, FileFormat.JSON_LINES)) == [(2, None)]
    for broken in (b'{"external_id": "a"}', b'[{"external_id": "a"}} ]', b"[{}] x", b"[1 2]", b'[{"a": tru}]', b"[,]"):
        with pytest.raises(NotAnArray):
            read(broken, FileFormat.JSON)


# What a single write takes, cell by cell: strings are the texts of cells, as they are and with spaces around.
TEXTS = st.one_of(
    st.text(max_size=12),
    st.text(st.sampled_from("aé@.-+ 1'(["), max_size=12),
    st.from_regex(r"\s?[a-z'%]{1,5}@([a-z-]{1,5}\.){0,2}[a-z]{1,5}\s?", fullmatch=True),
    st.from_regex(r"\+?[0-9 ()-]{1,17}", fullmatch=True),
    st.integers(195, 205).map("x".__mul__),
)


@given(st.sampled_from([name for name in FIELDS if name not in {"id", "community_id", "community_slug"}]), TEXTS)
def test_a_cell_is_taken_when_a_single_write_would_take_it_and_as_it_would(field: str, text: str) -> None:
    if field.endswith(("_in", "contact", "context", "activated")):
        return
    found = cell_reader(field)([text])
    try:
        single = getattr(smb_from({"tenant_id": UUID(int=1), "business_name": "x"} | {field: text}), field)
    except InvalidField:
        blank_name = field == "business_name" and not text.strip()
        assert found.wrong or blank_name
    else:
        assert found.wrong == {}
        assert found.values == [single]
        assert value_reader(field)([text, MISSING]).values == [single, None]


def test_flags_lists_and_documents_are_read_as_people_write_them() -> None:
    flags = cell_reader("sms_opted_in")(["true", "Yes", "1", "FALSE", "no", " 0 ", "", "on"])
    assert (flags.values, [*flags.wrong]) == ([True, True, True, False, False, False, None, None], [7])
    lists = cell_reader("services_activated")(["a; b|c", '["a;b"]', "[]", "", "a;a", "[1]", "["])
    assert (lists.values[:4], [*lists.wrong]) == (['["a","b","c"]', '["a;b"]', "[]", None], [4, 5, 6])
    documents = cell_reader("business_context")(['{"a": 1.50}', "", "[]", '{"a": NaN}', '{"a": "\\u0000"}'])
    assert (documents.values[:2], [*documents.wrong]) == (['{"a":1.5}', None], [2, 3, 4])


def test_a_file_without_any_line_end_is_given_up() -> None:
    with pytest.raises(FileRefused, match="longer"):
        read(b"external_id\n" + b"a," * 1_000_000, cuts=range(0, 2_000_000, 65_536))
