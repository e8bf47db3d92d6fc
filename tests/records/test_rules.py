"""What is well formed, how slugs are made, how complete a profile is."""

import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.records.errors import InvalidField
from services.records.profiles import NewSmb, community_from, smb_from
from services.records.rules import data_quality, is_email, is_phone, slug_stem
from shared.schemas.policy import Policy

WEIGHTS = Policy.default().data_quality
TENANT = uuid.UUID(int=7)
FORTY_CHARACTERS = "Coffee, cake and bread from our own oven"
COMPLETE: dict[str, Any] = {
    "tenant_id": TENANT,
    "business_name": "Café Alma",
    "primary_email": "hello@alma.example",
    "primary_phone": "+1 (212) 555-0100",
    "industry_category": "Restaurants",
    "business_description": FORTY_CHARACTERS,
    "community_id": uuid.UUID(int=9),
    "service_model": "self-service",
}


@pytest.mark.parametrize("text", ["a@b.co", "first.last+tag@sub.domain.example", "ä@müller.example"])
def test_an_email_has_one_at_and_a_dotted_domain(text: str) -> None:
    assert is_email(text)


@pytest.mark.parametrize(
    "text", ["", "a", "a@b", "@b.co", "a@", "a@b.", "a@.co", "a@b..co", "a@b@c.co", "a b@c.co", "a@b.co\n", "a@b.co "]
)
def test_anything_else_is_no_email(text: str) -> None:
    assert not is_email(text)


@pytest.mark.parametrize("text", ["+12125550100", "+1 212 555 0100", "+1 (212) 555-0100", "+49.30.901820", "+[44]20"])
def test_a_phone_number_is_international_once_its_punctuation_is_left_out(text: str) -> None:
    assert is_phone(text)


@pytest.mark.parametrize(
    "text", ["", "212 555 0100", "+0123456", "+1", "+1234567890123456", "+1/212", "+1٢٣٤", "++1212"]
)
def test_anything_else_is_no_phone_number(text: str) -> None:
    assert not is_phone(text)


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Café Alma", "cafe-alma"),
        ("  Joe's -- Bar & Grill!  ", "joe-s-bar-grill"),
        ("24/7 Plumbing", "24-7-plumbing"),
        ("喫茶店", "smb"),
        ("x" * 300, "x" * 180),
    ],
)
def test_a_slug_keeps_letters_and_digits(name: str, slug: str) -> None:
    assert slug_stem(name, "smb") == slug


@given(st.text(max_size=250))
def test_every_name_gives_a_slug_that_the_database_takes(name: str) -> None:
    stem = slug_stem(name, "smb")
    assert 1 <= len(stem) <= 180
    assert all(part and part.isascii() and part.isalnum() and part == part.lower() for part in stem.split("-"))


def test_a_complete_profile_scores_100() -> None:
    assert data_quality(NewSmb(**COMPLETE), WEIGHTS) == 100


@pytest.mark.parametrize(
    ("field", "value", "lost_points"),
    [
        ("primary_email", None, 20),
        ("primary_phone", None, 15),
        ("industry_category", None, 10),
        ("business_description", FORTY_CHARACTERS[:-1], 15),
        ("business_description", None, 15),
        ("community_id", None, 10),
        ("service_model", None, 5),
        ("email_opted_in", False, 10),
        ("do_not_contact", True, 10),
    ],
)
def test_each_missing_part_costs_its_points(field: str, value: object, lost_points: int) -> None:
    assert data_quality(NewSmb(**(COMPLETE | {field: value})), WEIGHTS) == 100 - lost_points


def test_any_one_opt_in_is_enough() -> None:
    for way in ("sms_opted_in", "rvm_opted_in", "phone_opted_in"):
        assert data_quality(NewSmb(**(COMPLETE | {"email_opted_in": False, way: True})), WEIGHTS) == 100


def test_a_name_alone_scores_for_itself_and_the_default_opt_in() -> None:
    assert data_quality(NewSmb(tenant_id=TENANT, business_name="Alma"), WEIGHTS) == 25


def test_what_is_stored_is_checked_again() -> None:
    stored = NewSmb(**COMPLETE).model_copy(update={"primary_email": "broken", "primary_phone": "0100"})
    assert data_quality(stored, WEIGHTS) == 65


def test_texts_are_trimmed_and_blank_ones_are_none() -> None:
    smb = smb_from(COMPLETE | {"business_name": "  Alma ", "industry_category": " \t", "primary_email": " a@b.co "})
    assert (smb.business_name, smb.industry_category, smb.primary_email) == ("Alma", None, "a@b.co")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("business_name", "   "),
        ("business_name", "x" * 201),
        ("business_name", None),
        ("business_name", 7),
        ("business_name", "a\x00b"),
        ("business_name", "a\ud800b"),
        ("primary_email", "nobody"),
        ("primary_email", f"{'x' * 320}@b.co"),
        ("primary_phone", "0800 1234"),
        ("external_id", "x" * 201),
        ("business_description", "x" * 10_001),
        ("business_context", {"a": "b\x00"}),
        ("business_context", {"a\x00": 1}),
        ("business_context", {"a": float("nan")}),
        ("business_context", {"a": "\ud800"}),
        ("business_context", ["no object"]),
        ("services_activated", ("Website", " Website ")),
        ("services_activated", ("",)),
        ("email_opted_in", "yes"),
        ("community_id", "not-a-uuid"),
        ("favourite_colour", "blue"),
    ],
)
def test_a_malformed_field_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(InvalidField) as refused:
        smb_from(COMPLETE | {field: value})
    assert refused.value.field == field
    assert str(refused.value).startswith(f"{field}: ")


def test_a_context_may_hold_a_backslash_that_only_looks_like_nul() -> None:
    assert smb_from(COMPLETE | {"business_context": {"a": "\\u0000"}}).business_context == {"a": "\\u0000"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("timezone", "Mars/Olympus"),
        ("timezone", "america/new_york"),
        ("state", "New York"),
        ("state", "N1"),
        ("population", -1),
        ("population", 2**31),
        ("name", " "),
        ("settings", {"a": float("inf")}),
    ],
)
def test_a_communitys_malformed_field_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(InvalidField) as refused:
        community_from({"tenant_id": TENANT, "name": "Springfield", "state": "IL", field: value})
    assert refused.value.field == field


def test_a_communitys_state_is_written_large() -> None:
    assert community_from({"tenant_id": TENANT, "name": "Springfield", "state": " il "}).state == "IL"
