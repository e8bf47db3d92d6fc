"""One change of many SMBs, by their ids or by a filter, chunk by chunk in the order of heads.

* `requests`: what may be changed, and of whom
* `opening`: counts who is concerned, and opens the job
* `chunks`: the SQL that finds SMBs for chunks, and cuts them
* `updating`: one chunk in one transaction
* `following`: the same for SMBs that follow a changed time zone
"""
