"""What a change through the API names as its cause: the request, so that logs and announcements can be joined."""

from typing import Annotated

from fastapi import Depends, Request

from services.campaign.decisions import Cause


def _cause(request: Request) -> Cause:
    return Cause(f"request/{request.state.request_id}")


Because = Annotated[Cause, Depends(_cause)]
