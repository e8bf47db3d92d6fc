"""Imports: a file of SMBs is staged while it arrives, and applied chunk by chunk by whichever workers are there.

* `receiving`: takes an upload, in the API's process
* `staging`: the SQL of staged and of refused rows
* `repetition`: rows of one file that are about the same SMB
* `planning`: what is to become of staged rows, as things are now
* `applying`: one chunk in one transaction
* `refusals`: the refused rows as CSV
"""
