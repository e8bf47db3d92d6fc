"""What is true of profiles, without I/O: what is well formed, how slugs are made, how complete a profile is."""

import re
import unicodedata
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from shared.schemas.policy import DataQuality

# A soft-deleted SMB can be restored for so long; events and approvals wait as long, after their arrival, for an SMB.
DELETED_KEPT = UNCLAIMED_KEPT = timedelta(days=90)
# A slug has at most 200 characters; a suffix that makes it unique needs some of them.
SLUG_STEM_MAX_CHARACTERS = 180
# From so many characters on a description says something.
DESCRIPTION_MIN_CHARACTERS = 40

_EMAIL = re.compile(r"[^\s@]+@[^\s@.]+(\.[^\s@.]+)+")
_E164 = re.compile(r"\+[1-9][0-9]{1,14}")
_PHONE_PUNCTUATION = str.maketrans("", "", " .-()[]")
_NOT_IN_SLUGS = re.compile(r"[^a-z0-9]+")


class Describable(Protocol):
    """What the data quality score reads of an SMB, as it is stored or about to be."""

    @property
    def business_name(self) -> str | None:
        """Name of the business."""

    @property
    def primary_email(self) -> str | None:
        """Email address."""

    @property
    def primary_phone(self) -> str | None:
        """Phone number."""

    @property
    def industry_category(self) -> str | None:
        """Line of business."""

    @property
    def business_description(self) -> str | None:
        """What the business does."""

    @property
    def community_id(self) -> UUID | None:
        """Its community."""

    @property
    def service_model(self) -> str | None:
        """How it is served."""

    @property
    def email_opted_in(self) -> bool:
        """May be written to by email."""

    @property
    def sms_opted_in(self) -> bool:
        """May be written to by text message."""

    @property
    def rvm_opted_in(self) -> bool:
        """May get ringless voicemail."""

    @property
    def phone_opted_in(self) -> bool:
        """May be called."""

    @property
    def do_not_contact(self) -> bool:
        """Must not be contacted on any way."""


def is_email(text: str) -> bool:
    """Tell whether a trimmed text has exactly one @, something before it and a dotted domain after it."""
    return _EMAIL.fullmatch(text) is not None


def is_phone(text: str) -> bool:
    """Tell whether a text is an E.164 number once spaces, dots, dashes and brackets are left out."""
    return _E164.fullmatch(text.translate(_PHONE_PUNCTUATION)) is not None


def slug_stem(name: str, otherwise: str) -> str:
    """Give the slug of a name: its letters and digits without accents, dashes between words.

    A name without any Latin letter or digit gives `otherwise`.
    """
    latin = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return _NOT_IN_SLUGS.sub("-", latin).strip("-")[:SLUG_STEM_MAX_CHARACTERS].strip("-") or otherwise


def slug_candidate(stem: str, number: int) -> str:
    """Give the first (1), second, … slug to try for a stem: alma, alma-2, alma-3."""
    return stem if number == 1 else f"{stem}-{number}"


def data_quality(smb: Describable, weights: DataQuality) -> int:
    """Score 0..100 how contactable and describable an SMB is; what is stored is checked again."""
    opted_in = smb.email_opted_in or smb.sms_opted_in or smb.rvm_opted_in or smb.phone_opted_in
    described = len((smb.business_description or "").strip()) >= DESCRIPTION_MIN_CHARACTERS
    return (
        weights.business_name * bool((smb.business_name or "").strip())
        + weights.email * is_email(smb.primary_email or "")
        + weights.phone * is_phone(smb.primary_phone or "")
        + weights.industry * bool(smb.industry_category)
        + weights.description * described
        + weights.community * (smb.community_id is not None)
        + weights.service_model * bool(smb.service_model)
        + weights.opt_in * (opted_in and not smb.do_not_contact)
    )
