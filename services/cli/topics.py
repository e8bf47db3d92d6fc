"""`smb-crm topics`: the topics in Kafka."""

from services.cli.connections import run
from services.cli.output import AsJson, say, say_json


def topics(as_json: AsJson = False) -> None:
    """Create the topics that are missing in Kafka.

    Partitions, replication and retention come from the settings. Safe to run twice, and from several pods at once. A
    topic that exists stays as it is; one with another partition count is refused, because an SMB's events must stay
    in one partition.
    """
    from shared.runtime.settings import load_settings
    from shared.runtime.topic_admin import create_topics

    report = run(create_topics(load_settings()))
    if as_json:
        say_json({"created": sorted(report.created), "existing": sorted(report.existing)})
        return
    for name in sorted(report.created):
        say(f"created {name}")
    say(f"{len(report.created)} created, {len(report.existing)} were there")
