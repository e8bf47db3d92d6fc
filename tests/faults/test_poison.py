"""Poison: a bad message is parked once, with its bytes, by the service that owns it; its neighbours are applied."""

from collections import Counter
from dataclasses import replace

from shared.schemas.identity import Place
from shared.schemas.topics import SERVICES
from tests.faults.checker import Letter
from tests.faults.poison import Case, never_applied, odd_and_applied, of_other_owners
from tests.faults.scene import Load, all_hold, letters, load_on, metric
from tests.installation import Installation, event


async def send(load: Load, cases: list[Case]) -> dict[Place, Case]:
    """Publish the cases into one partition; returns where each stands."""
    places = await load.send([replace(case.message, partition=0) for case in cases])
    return dict(zip(places, cases, strict=True))


async def test_poison_is_parked_with_its_bytes_and_its_neighbours_are_applied(installation: Installation) -> None:
    (neighbour,) = await installation.add_smbs(1)
    bad, odd = [*never_applied(), *of_other_owners()], list(odd_and_applied())
    async with load_on(installation) as load:
        places: dict[Place, Case] = {}
        for number, case in enumerate([*bad, *odd]):
            places |= await send(load, [case])
            await load.send([event("CallbackReceived", neighbour, id_=f"n-{number}", call_id="c")])
        workers = {name: installation.start(name) for name in SERVICES}
        dump = await all_hold(installation, load)
    parked = {letter.place: letter for letter in await letters(installation)}
    for place, case in places.items():
        if case.owner is None:
            assert place not in parked, case.name
            assert [one.place for one in dump.events if one.place == place] == [place], case.name
        else:
            message = case.message
            expected = Letter(place, case.owner, message.key, message.value, tuple(message.headers))
            assert parked.get(place) == expected, case.name
    assert len(await letters(installation)) == len(bad)
    assert len([one for one in dump.events if one.smb == neighbour]) == len(bad) + len(odd)

    by_owner = Counter(case.owner for case in bad)
    for name, worker in workers.items():
        assert metric(worker.ops("/metrics")[1], "smb_dead_letters_total", service=name) == by_owner[name]
        assert worker.ops("/readyz")[0] == 200


async def test_a_reason_names_the_field_in_one_printable_line(installation: Installation) -> None:
    rows = await installation.fetch("SELECT error_class, reason, attempts FROM dead_letters")
    assert rows
    for row in rows:
        assert row["reason"].isprintable()
        assert 0 < len(row["reason"]) <= 500
        assert row["attempts"] == 1
    assert {row["error_class"] for row in rows} == {
        "no_body",
        "too_large",
        "bad_header",
        "not_json",
        "missing_field",
        "wrong_field",
        "unknown_type",
        "subject_differs",
        "time_ahead",
        "unknown_smb",
    }
