"""What all services of the SMB core share.

`schemas` says what crosses the wire, `runtime` moves it, `migrations` make the database. Nothing here imports a
service.
"""
