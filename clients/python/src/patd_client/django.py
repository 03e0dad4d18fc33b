"""An authentication class and a permission class for Django REST framework."""

from __future__ import annotations

from typing import Any, Mapping, Optional, Sequence, Tuple

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import APIException, AuthenticationFailed, MethodNotAllowed, NotAuthenticated
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from ._answers import NO_TOKEN, Answer, bearer_token, client_address, refusal, undecided
from ._client import Client
from ._verdict import Undecided, Verdict


class TokenUser:
    """The owner of the token, or its environment. `id` never changes and is never given to anybody else."""

    is_authenticated = True
    is_anonymous = False
    is_active = True
    is_staff = False
    is_superuser = False

    def __init__(self, verdict: Verdict) -> None:
        self.id = self.pk = verdict.owner.id if verdict.owner else verdict.environment_id
        self.name = verdict.owner.name if verdict.owner else ""

    def __str__(self) -> str:
        return str(self.id)


class TokenAuthentication(BaseAuthentication):
    """Accepts tokens of patd. Derive a class that names the `client`.

    A view names the abilities that it needs in `required_abilities`: a list for all methods, or a dictionary with a list
    for each method. `request.auth` is the verdict.
    """

    client: Client
    #: Sessions of patd (`ses_…`) may do everything in the account of a user.
    accept_sessions = False

    def authenticate(self, request: Request) -> Optional[Tuple[Any, Verdict]]:
        """Checks the token. Without one, other classes may authenticate the request, unless the view needs abilities."""
        abilities = required_abilities(request)
        token = bearer_token(request.META.get("HTTP_AUTHORIZATION"))
        if not token:
            if abilities is not None:
                raise NotAuthenticated(NO_TOKEN.message)
            return None
        try:
            verdict = self.client.verify(token, abilities or (), client_address(self.address(request)))
        except Undecided as error:
            raise Refused(undecided(error)) from None
        answer = refusal(verdict, self.accept_sessions)
        if answer is None:
            return self.user(verdict), verdict
        if answer.status == 401:
            raise AuthenticationFailed(answer.message)
        raise Refused(answer)

    def authenticate_header(self, request: Request) -> str:
        """The challenge of a 401."""
        has_token = bearer_token(request.META.get("HTTP_AUTHORIZATION"))
        return 'Bearer error="invalid_token"' if has_token else "Bearer"

    def address(self, request: Request) -> Optional[str]:
        """The address of the client. Override this behind a proxy."""
        return request.META.get("REMOTE_ADDR")

    def user(self, verdict: Verdict) -> Any:
        """The value of `request.user`. Override this to return a model of your own."""
        return TokenUser(verdict)


class HasAbilities(BasePermission):
    """Lets a request pass if a token was checked for what the view needs. What another class authenticated is refused."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Whether `TokenAuthentication` accepted the token."""
        return isinstance(request.auth, Verdict) and request.auth.valid


def required_abilities(request: Request) -> Optional[Sequence[str]]:
    """What the view of the request needs, or None if it does not say."""
    needed = getattr(request.parser_context.get("view"), "required_abilities", None)
    if not isinstance(needed, Mapping):
        return needed
    method = "GET" if request.method == "HEAD" else request.method
    if method not in needed and method != "OPTIONS":
        raise MethodNotAllowed(method)
    return needed.get(method, ())


class Refused(APIException):
    """A refusal that is not a 401."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.body())
        self.status_code = answer.status
        self.auth_header = answer.headers.get("WWW-Authenticate")
        self.wait = int(answer.headers.get("Retry-After", 0))
