"""A resource server with Authlib: prints whether it would serve a request with this token and these scopes.

Usage: introspection.py URL TOKEN SCOPE... The variable INTROSPECTOR holds the token of the resource server itself.
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
    claims = protector.validate_request([" ".join(scopes)], request)
    print("served", claims["username"], claims["scope"])
except OAuth2Error as error:
    print("refused", error.status_code, error.error)
