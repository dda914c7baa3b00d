"""A mail server for the tests: takes messages and writes them down.

smtp.py PORT FILE [starttls|tls FOLDER] [login]

Prints its port. A recipient that begins with "gone" does not exist; one that
begins with "later" is to be tried again. Each message taken is one line of JSON,
on disk before the server says 250.
"""

import asyncio
import email
import json
import os
import ssl
import sys
from email import policy

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword


class Handler:
    def __init__(self, file):
        self.file = file

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("gone"):
            return "550 5.1.1 There is nobody of this name"
        if address.startswith("later"):
            return "451 4.3.0 Not now"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        letter = email.message_from_bytes(envelope.content, policy=policy.default)
        line = json.dumps({
            "to": envelope.rcpt_tos,
            "from": envelope.mail_from,
            "id": letter["message-id"],
            "subject": letter["subject"],
            "text": letter.get_content(),
            "raw": envelope.content.decode("utf-8", "replace"),
            "tls": session.ssl is not None,
            "user": session.auth_data.login.decode() if session.auth_data else None,
        })
        with open(self.file, "a") as out:
            out.write(line + "\n")
            out.flush()
            os.fsync(out.fileno())
        return "250 OK"


def authenticate(server, session, envelope, mechanism, data):
    good = isinstance(data, LoginPassword) and (data.login, data.password) == (b"filter", b"pass word")
    return AuthResult(success=good, auth_data=data if good else None)


async def main():
    port, file = int(sys.argv[1]), sys.argv[2]
    mode = sys.argv[3] if len(sys.argv) > 3 else ""
    login = "login" in sys.argv
    context = None
    if mode in ("starttls", "tls"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        folder = sys.argv[4]
        context.load_cert_chain(f"{folder}/server.pem", f"{folder}/server.key")

    def conversation():
        return SMTP(
            Handler(file),
            hostname="mail.test",
            tls_context=context if mode == "starttls" else None,
            require_starttls=mode == "starttls",
            authenticator=authenticate if login else None,
            auth_required=login,
            # Over TLS from the first byte it does not see that it is.
            auth_require_tls=mode == "starttls",
        )

    implicit = context if mode == "tls" else None
    server = await asyncio.get_running_loop().create_server(
        conversation, "127.0.0.1", port, ssl=implicit, reuse_address=True
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
