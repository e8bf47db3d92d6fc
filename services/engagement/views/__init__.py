"""What people are shown of an SMB's engagement: nothing here changes anything.

* `timeline`: every event, newest first; approvals and content views are parts of it
* `sends`: the messages of campaigns that an SMB reacted to
* `score_history`: the score of each day
* `explanation`: what the score is made of, and when it will change by itself

All of them are of one tenant, which their transaction has to name (see TenantDatabase). Whether the tenant has such an
SMB is the caller's question; of one that it does not have there may be events all the same.
"""
