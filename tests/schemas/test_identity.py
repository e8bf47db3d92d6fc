"""Keys of SMBs and of events."""

from uuid import uuid5

from hypothesis import given
from hypothesis import strategies as st

from shared.schemas.identity import EVENT_NAMESPACE, event_key

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)


@given(TEXTS, TEXTS)
def test_an_event_key_is_the_version_5_uuid_of_its_source_and_id(source: str, event_id: str) -> None:
    assert event_key(source, event_id) == uuid5(EVENT_NAMESPACE, f"{len(source)}:{source}{event_id}")


def test_an_event_key_stays_what_it_has_always_been() -> None:
    assert str(event_key("/modules/email", "e-1")) == "dc25076c-1fe4-5d1c-8f24-7e2c69b70ca4"


def test_a_character_that_moves_from_the_source_to_the_id_makes_another_key() -> None:
    assert event_key("/a", "bc") != event_key("/ab", "c")
