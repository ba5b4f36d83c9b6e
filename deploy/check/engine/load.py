"""Senders of signed events that behave as vendors do, and a log of every answer they got.

A sender repeats the same bytes until it gets a 2xx. Bodies differ, so every event has an id of its own: the UUIDv8 that
hookbridge makes of SHA-256 over the source's name, a zero byte and the body.
"""

import hashlib
import hmac
import http.client
import json
import random
import threading
import time
import uuid
from dataclasses import dataclass, field

# A vendor's own patience for an answer.
PATIENCE = 5
PAUSE_AFTER_REFUSAL = 0.25


def event_id(source, body):
    digest = bytearray(hashlib.sha256(source.encode() + b"\0" + body).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    return str(uuid.UUID(bytes=bytes(digest)))


@dataclass
class Event:
    id: str
    scenario: str
    accepted: int = 0


@dataclass
class Answer:
    began: float
    ended: float
    scenario: str
    # The status, or the name of the error.
    code: object


@dataclass
class Load:
    port: int
    secrets: dict
    templates: dict
    scenario: str = ""
    # Further bytes of each body.
    padding: int = 0
    pause: float = 0.05
    events: list = field(default_factory=list)
    answers: list = field(default_factory=list)
    ending: bool = False
    threads: list = field(default_factory=list)

    def start(self, senders):
        for source in senders:
            thread = threading.Thread(target=self._send, args=(source,), daemon=True)
            thread.start()
            self.threads.append(thread)

    def end(self, limit):
        """Starts no further event, and waits until those that were started are accepted."""
        self.ending = True
        until = time.monotonic() + limit
        for thread in self.threads:
            thread.join(max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in self.threads)

    def body(self, source):
        event = json.loads(self.templates[source])
        event["check"] = str(uuid.uuid4())
        if self.padding:
            # Nothing that zstd makes small.
            event["padding"] = random.randbytes(self.padding // 2).hex()
        return json.dumps(event).encode()

    def post(self, source, body, secret=None):
        secret = secret or self.secrets[source]
        if source == "wegly":
            headers = {"x-wegly-event": json.loads(body)["event_key"],
                       "x-wegly-signature": hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}
        else:
            headers = {"x-n8n-api-key": secret}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request("POST", f"/webhooks/{source}", body, {"content-type": "application/json", **headers})
            return connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            return type(error).__name__
        finally:
            connection.close()

    def deliver(self, source, body):
        """One event, until it is accepted."""
        event = Event(event_id(source, body), self.scenario)
        self.events.append(event)
        while True:
            began = time.monotonic()
            code = self.post(source, body)
            self.answers.append(Answer(began, time.monotonic(), self.scenario, code))
            if code in (200, 202):
                event.accepted = code
                return event
            time.sleep(PAUSE_AFTER_REFUSAL)

    def _send(self, source):
        while not self.ending:
            self.deliver(source, self.body(source))
            time.sleep(self.pause)

    def accepted_since(self, moment):
        """When the first request that began after `moment` was accepted."""
        ends = [answer.ended for answer in list(self.answers) if answer.began >= moment and answer.code in (200, 202)]
        return min(ends, default=None)

    def published_since(self, moment):
        """Whether a request that began after `moment` was answered 200: Kafka has its event."""
        return any(answer.code == 200 and answer.began >= moment for answer in self.answers[-50:])
