"""A resource server as Authlib has it: says of a token, for the scopes given, whether it would serve the request.

Usage: introspection.py URL TOKEN SCOPE..., with the token of the resource server itself in INTROSPECTOR.
"""

import os
import sys
from types import SimpleNamespace

import requests
from authlib.oauth2 import OAuth2Error, ResourceProtector
from authlib.oauth2.rfc7662 import IntrospectTokenValidator


class Validator(IntrospectTokenValidator):
    def introspect_token(self, token_string):
        form = {"token": token_string, "token_type_hint": "access_token"}
        answer = requests.post(url, data=form, auth=("authlib", os.environ["INTROSPECTOR"]), timeout=10)
        answer.raise_for_status()
        return answer.json()


_, url, presented, *scopes = sys.argv
protector = ResourceProtector()
protector.register_token_validator(Validator())
request = SimpleNamespace(headers={"Authorization": f"Bearer {presented}"})
try:
    known = protector.validate_request([" ".join(scopes)], request)
    print("served", known["username"], known["scope"])
except OAuth2Error as error:
    print("refused", error.status_code, error.error)
