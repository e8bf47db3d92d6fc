"""The view `smb_overview`: one row for each SMB that is not deleted, under the names of the contract."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

OVERVIEW = """
CREATE VIEW smb_overview AS
SELECT
    smb.tenant_id, smb.id, smb.community_id, smb.slug, smb.external_id,
    smb.business_name, smb.primary_email, smb.primary_phone,
    smb.industry_category, smb.business_description, smb.business_context,
    smb.engagement_tier, head.engagement_score, head.engagement_scored_on,
    smb.campaign_status, smb.current_campaign_id,
    smb.manifest_destiny_day, smb.manifest_destiny_start_date, smb.next_scheduled_send,
    smb.service_model, smb.services_activated, smb.services_approved_pending,
    smb.email_opted_in, smb.sms_opted_in, smb.rvm_opted_in, smb.phone_opted_in, smb.do_not_contact,
    smb.data_quality_score,
    head.last_email_open, head.last_email_click, head.last_content_view, head.last_approval,
    smb.created_at, smb.updated_at, smb.deleted_at
FROM smbs AS smb
JOIN smb_heads AS head ON head.tenant_id = smb.tenant_id AND head.smb_id = smb.id
WHERE smb.deleted_at IS NULL
"""


def upgrade() -> None:
    """Create the view and let the reporting role read it."""
    op.execute(OVERVIEW)
    op.execute("GRANT SELECT ON smb_overview TO smb_reader, smb_worker")
