"""How staged rows are cut into chunks."""

from uuid import UUID

from services.records.imports import staging
from services.records.jobs import Chunk
from shared.runtime.database import Transaction

# One transaction: long enough to be fast, short enough that nobody waits long for what it holds.
CHUNK_ROWS = 2_500
LINE_MAX = 2**31 - 1


async def chunks_of(transaction: Transaction, tenant_id: UUID, job_id: UUID) -> list[Chunk]:
    """Cut the staged rows of a job into chunks of whole buckets; a bucket that is too large is cut by its lines."""
    chunks: list[Chunk] = []
    first, rows = 0, 0
    counted = await staging.count_buckets(transaction, tenant_id, job_id)
    for bucket, count in counted:
        if rows and rows + count > CHUNK_ROWS:
            chunks.append(_whole_buckets(first, bucket - 1, rows))
            first, rows = bucket, 0
        rows += count
        if count > CHUNK_ROWS:
            ends = await staging.cut_bucket(transaction, tenant_id, job_id, bucket, CHUNK_ROWS)
            chunks += _parts_of(bucket, count, ends)
            first, rows = bucket + 1, 0
    if rows:
        chunks.append(_whole_buckets(first, counted[-1][0], rows))
    return chunks


def shares_a_bucket(chunk: Chunk) -> bool:
    """Tell whether rows of the same name may lie in another chunk of the job."""
    return chunk.first_line != 0 or chunk.last_line != LINE_MAX


def _whole_buckets(first: int, last: int, rows: int) -> Chunk:
    return Chunk(rows, first_bucket=first, first_line=0, last_bucket=last, last_line=LINE_MAX)


def _parts_of(bucket: int, count: int, ends: list[int]) -> list[Chunk]:
    """Parts of one bucket that end with these lines, and what is left."""
    parts = [
        Chunk(CHUNK_ROWS, first_bucket=bucket, first_line=start + 1, last_bucket=bucket, last_line=end)
        for start, end in zip([0, *ends], ends, strict=False)
    ]
    if rest := count - CHUNK_ROWS * len(ends):
        parts.append(Chunk(rest, first_bucket=bucket, first_line=ends[-1] + 1, last_bucket=bucket, last_line=LINE_MAX))
    return parts
