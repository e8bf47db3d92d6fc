"""The HTTP API: what the services do, under `/api/v1`, for whoever holds a credential.

Consumes: HTTP requests. Owns: `idempotency_keys`, nothing else; what a request does lives in the services.
Emits: nothing of its own; the announcements of what it did go through the outbox, as everybody's.
"""
