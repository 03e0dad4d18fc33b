"""Answers of servers that misbehave, and of one that does not."""

import json


def answer(status, body, *headers):
    """An HTTP answer as bytes."""
    body = body.encode()
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


TOKEN = {"id": "1", "type": "personal_access_token", "name": "x", "abilities": ["*"], "created_at": "", "expires_at": None}
OWNER = {"id": "2", "type": "user", "name": "Ada", "email": "ada@example.com"}
VALID = {"valid": True, "code": "valid", "token": TOKEN, "owner": OWNER}


def verdict(**fields):
    """The body of a verdict that accepts, with other fields."""
    return json.dumps({"data": {**VALID, **fields}})


#: None of these is a verdict.
MISBEHAVING = {
    "500": answer("500 Internal Server Error", '{"message":"…","code":"server_error"}'),
    "503": answer("503 Service Unavailable", '{"message":"…","code":"draining"}', "Retry-After: 1"),
    "429 of the client's own token": answer("429 Too Many Requests", '{"code":"too_many_attempts"}', "Retry-After: 1"),
    "401 of the client's own token": answer("401 Unauthorized", '{"code":"unauthenticated"}'),
    "403 of the client's own token": answer("403 Forbidden", '{"code":"missing_ability"}'),
    "422": answer("422 Unprocessable Content", '{"code":"validation_failed"}'),
    "a status that says nothing, with a verdict": answer("203 Non-Authoritative", verdict()),
    "HTML": answer("200 OK", "<html>Welcome to nginx</html>"),
    "an empty body": answer("200 OK", ""),
    "truncated JSON": answer("200 OK", verdict()[:-9]),
    "deep JSON": answer("200 OK", "[" * 100_000),
    "a body that ends early": answer("200 OK", verdict()).replace(b"Content-Length: ", b"Connection: close\r\nContent-Length: 9")[:-4],
    "no object": answer("200 OK", "[]"),
    "no verdict": answer("200 OK", '{"data":{}}'),
    "a text as verdict": answer("200 OK", verdict(valid="true")),
    "a contradiction": answer("200 OK", verdict(code="revoked")),
    "another contradiction": answer("200 OK", verdict(valid=False)),
    "accepted without a token": answer("200 OK", verdict(token=None)),
    "abilities that are a text": answer("200 OK", verdict(token={**TOKEN, "abilities": "*"})),
    "no HTTP": b"220 mail.example.com ESMTP\r\n" * 9,
}
