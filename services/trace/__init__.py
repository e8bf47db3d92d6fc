"""`smb-crm trace`: one message's way through the system, as far as the database keeps it.

Reads only. Finds events, commands, triggers, dead letters, copies and outgoing messages by their CloudEvents id.
"""

from services.trace.tracing import Sought, Trace, Tracer

__all__ = ["Sought", "Trace", "Tracer"]
