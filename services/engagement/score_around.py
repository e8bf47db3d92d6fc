"""The score of an SMB before and after one of its transactions, by the pure rule."""

from datetime import datetime

from sqlalchemy import text

from services.engagement.verification import score_of
from shared.runtime.database import Transaction
from shared.schemas.identity import SmbKey
from shared.schemas.policy import Policy

# Counted by kind and UTC day, as the score knows them.
COUNTED = text(
    """
    SELECT CAST(kind AS text) AS kind, CAST(occurred_at AT TIME ZONE 'UTC' AS date) AS day, count(*) AS events
    FROM engagement_events
    WHERE tenant_id = :tenant_id AND smb_id = :smb_id
        AND (received_at < :moment OR (:included AND received_at = :moment))
    GROUP BY kind, day
    """,
)


async def score_around(transaction: Transaction, smb: SmbKey, moment: datetime, policy: Policy) -> tuple[int, int]:
    """Compute the score from the events received before `moment` and from those up to it, both as of its UTC date.

    By the present policy, whatever it was then.
    """
    scores = []
    for included in (False, True):
        parameters = {"tenant_id": smb.tenant_id, "smb_id": smb.smb_id, "moment": moment, "included": included}
        counted = (await transaction.execute(COUNTED, parameters)).all()
        scores.append(score_of(counted, policy, moment.date()))
    return scores[0], scores[1]
