"""What keeps tenants apart in the database: row-level security, spelled the same way for every table.

Migrations use this, so it stays as it is; another way of keeping tenants apart would be another function.
"""


def keep_apart(table: str) -> tuple[str, ...]:
    """Give the statements that put `table`, which has a column tenant_id, under row-level security.

    The role of the API sees and writes the rows of the one tenant that its transaction has named; without a name, none.
    Workers see all rows. So does the owner, although the table forces row-level security on it as well: migrations
    change everybody's rows, and the reporting view reads as its owner.
    """
    is_own = "tenant_id = smb_current_tenant()"
    return (
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
        f"CREATE POLICY own_tenant ON {table} TO smb_api USING ({is_own}) WITH CHECK ({is_own})",
        f"CREATE POLICY every_tenant ON {table} TO smb_worker, smb_owner USING (true) WITH CHECK (true)",
    )
