"""What crosses the wire: messages in and out, topics, and the policy that the rules follow.

Consumes raw Kafka records (`envelope.decode`). Owns the definition of every message type, its limits and its golden
samples. Emits headers and bodies of outgoing messages (`encoding`) and JSON Schemas (`json_schemas`). No I/O but
reading the policy file.
"""
