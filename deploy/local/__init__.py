"""The local stack: a real PostgreSQL and a real Apache Kafka on this machine, without root, Docker or Java.

Both come from Python packages (the extra `local`) and run as child processes on loopback ports of their own choice.
`start_stack` is the one way in; `PostgresServer` and `KafkaServer` can also be used alone, for example by fault tests.
"""

from deploy.local.errors import FolderInUseError, LocalStackError
from deploy.local.kafka import KafkaServer
from deploy.local.postgres import PostgresServer
from deploy.local.stack import Stack, start_stack

__all__ = ["FolderInUseError", "KafkaServer", "LocalStackError", "PostgresServer", "Stack", "start_stack"]
