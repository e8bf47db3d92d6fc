"""Approved services wait, in the order of their arrival, until they are activated."""

from services.campaign.rules import activate, approve


def test_approvals_wait_in_the_order_of_their_arrival() -> None:
    assert approve(approve((), (), "website"), (), "ads") == ("website", "ads")


def test_a_service_waits_once() -> None:
    assert approve(("website", "ads"), (), "website") == ("website", "ads")


def test_a_service_that_is_activated_does_not_wait() -> None:
    assert approve(("ads",), ("website",), "website") == ("ads",)


def test_activating_takes_a_service_out_and_keeps_the_order_of_the_others() -> None:
    assert activate(("website", "ads", "seo"), ("ads", "phone")) == ("website", "seo")


def test_activating_twice_changes_nothing_more() -> None:
    once = activate(("website", "ads"), ("ads",))
    assert activate(once, ("ads",)) == once == ("website",)
