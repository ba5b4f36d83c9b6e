"""What the examples that join the whole house are held against: events of both vendors, and the joins of them, made of the
bodies alone.

    join_house.py events SEED COUNT               events in random order, one a line: {"source", "body", ...}; those with "later" are
                                                  for after the tombstones
    join_house.py forgotten EVENTS                ids of the deals that get a tombstone, one a line
    join_house.py compare EVENTS ROWS [--tail]    whether ROWS, JSON lines, are both joins of EVENTS; --tail: they are lines of
                                                  `hookbridge tail`, of several rows the last one counts, and a null voids those of its key

Deals and leads have several states, which come in any order, one of them without updated_at, and with one or two chats each. Messages
carry a deal's id, somebody's number, both or neither, in various spellings; everything may come before its deal. Some deals never come,
some bodies come twice, and some deals are forgotten, of which one comes again. By number, the newest state of a deal that was told with
that number counts. Only Python's own library is used.
"""

import hashlib
import json
import random
import sys
import time
import uuid
from collections import Counter
from datetime import datetime

from join import iso, lines

MESSAGE = ["met_by", "deal_id", "message_id", "from_me", "body_text", "sent_at", "deal_title", "deal_status", "deal_value"]
ACTIVITY = ["about", "id", "event_id", "event_type", "occurred_at", "title", "status", "updated_at"]
DEALS, LEADS, FORGOTTEN = 300, 150, 4
BEGAN = 1_780_000_000_000


class Generator:
    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.deals = [self.id() for _ in range(DEALS)]
        self.made = []

    def id(self):
        return str(uuid.UUID(int=self.rng.getrandbits(128), version=4))

    def spelled(self, digits):
        """A number as a sender may write it."""
        short = digits[:4] + digits[5:]  # without the ninth digit, as WhatsApp has older accounts
        pretty = f"+{digits[:2]} {digits[2:4]} {digits[4:9]}-{digits[9:]}"
        return self.rng.choice([digits, short, pretty, short + "@s.whatsapp.net"])

    def reference(self, deal):
        """A deal's id as a ticket may carry it; or something else."""
        if deal is None:
            return self.rng.choice([None, "", {"other": 1}])
        key = {"externalKey": self.rng.choice([deal, deal.upper(), f" {deal} "])}
        return self.rng.choice([deal, deal.upper(), f"  {deal}\n", key, json.dumps(key)])

    def add(self, source, body, **facts):
        self.made.append({"source": source, "body": json.dumps(body, ensure_ascii=False), **facts})

    def wegly(self, key, payload, **facts):
        self.add("wegly", {"event_key": key, "payload": payload}, type=key, **facts)

    def states(self, kind, entity, n, numbers, **facts):
        # Within Kafka's segment.ms of each other: else old states would be compacted away while they are still to be read.
        base = int(time.time() * 1000) - self.rng.choice([1, 24, 72]) * 3_600_000
        count = self.rng.randint(1, 5)
        for state in range(count):
            told = self.rng.sample(numbers(state), self.rng.randint(0, 2)) if numbers else []
            updated_at = None if state == 1 and n % 4 == 0 else iso(base + state * 60_000)
            snapshot = {"id": entity, "title": f"{kind} {n} state {state}", "status": self.rng.choice([1, 2, 3]),
                        "value": self.rng.randint(0, 10**6) / 100, "updated_at": updated_at,
                        "whatsapp_chats": [{"id": self.id(), "raw_number": self.spelled(digits)} for digits in told]}
            key = self.rng.choice(["updated", "stage_changed", "won"])
            self.wegly(f"{kind}.{key}", snapshot if key == "updated" else {kind: snapshot}, state=[kind, snapshot, told], **facts)

    def linked(self, n, deals):
        """One event of the kinds that are linked to deals in Wegly; `deals` are two."""
        one, at = deals[0], iso(BEGAN + n)
        kind = n % 8
        if kind < 3:
            self.wegly("chat.message_received" if n % 2 else "chat.message_sent", {
                "id": self.id(), "body_text": f"olá {n} 😀", "from_me": n % 2 == 0, "meta_timestamp": at,
                "associated_deals": [{"id": deal.upper(), "title": None} for deal in deals]}, at=at, deals=deals)
        elif kind == 3:
            self.wegly("contract.created", {"contract": {
                "id": self.id(), "created_at": at, "deal": {"id": one, "title": "x"},
                "deals": [{"id": deal} for deal in deals]}}, at=at, deals=deals)
        elif kind == 4:
            self.wegly("contract.updated", {"id": self.id(), "updated_at": at, "deals": [{"id": one}]}, at=at, deals=[one])
        elif kind == 5:
            self.wegly("delivery.stage_changed", {"delivery": {
                "id": self.id(), "updated_at": at, "deal_id": one, "deal": {"id": one}}}, at=at, deals=[one])
        elif kind == 6:
            self.wegly("task.completed", {"task": {"id": self.id(), "crm_deal_id": one}, "completed_at": at}, at=at, deals=[one])
        else:
            self.wegly("satisfaction.public_submission_created", {
                "submission": {"id": self.id(), "created_at": at, "deal": {"id": one}},
                "link": {"id": self.id(), "crm_deal_id": one}}, at=at, deals=[one])

    def whazing(self, n):
        rng = self.rng
        deal = rng.choice(self.deals) if rng.random() < 0.6 else None
        digits = number(rng.randrange(6 * DEALS)) if rng.random() < 0.6 else None
        ticket = {"id": n + 1, "apiConfig": self.reference(deal)}
        deals = [deal] if deal else []
        if n % 6 == 5:
            kind, name = rng.choice([("NewTicket", "opened"), ("ClosedTicket", "closed")])
            return self.add("whazing", {"Type": kind, "ticket": ticket}, type=f"ticket.{name}", at=None, deals=deals)
        from_me, at = rng.random() < 0.5, iso(BEGAN + n * 1000)
        contact = {"id": n + 1, "phoneNumber": self.spelled(digits) if digits else rng.choice([None, "120363041234567890@g.us"])}
        body = {"messageId": f"m{n}", "fromMe": from_me, "timestamp": BEGAN // 1000 + n, "ticket": ticket,
                "messageBody": rng.choice([f"olá {n} 😀", f"text {n}", None]), "contact": contact}
        self.add("whazing", body, type="message.sent" if from_me else "message.received", at=at, deals=deals, number=digits, message=body)


def number(n):
    return f"55119{80_000_000 + n:08}"


def events(seed, count):
    g = Generator(seed)
    for n, deal in enumerate(g.deals):
        if n < FORGOTTEN:
            g.states("deal", deal, n, None)
        elif n % 50 != 49:
            # Two deals have a number in common, and a deal changes its second one.
            g.states("deal", deal, n, lambda state: [number(n // 2), number(DEALS + 5 * n + state)])
    for n in range(LEADS):
        g.states("lead", g.id(), n, lambda state: [number(2 * n), number(DEALS + n + state)])
    left = count * 19 // 20 - len(g.made)
    for n in range(left // 2):
        g.linked(n, g.rng.sample(g.deals, 2))
    for n in range(left - left // 2):
        g.whazing(n)
    g.made += g.rng.sample(g.made, count - len(g.made) - 1)
    g.rng.shuffle(g.made)
    # It comes again with a state that is older than those before.
    snapshot = {"id": g.deals[0], "title": "it comes again", "status": 1, "value": 1.5, "updated_at": iso(BEGAN)}
    g.wegly("deal.updated", snapshot, state=["deal", snapshot, []], later=True)
    for event in g.made:
        if event.get("state", [None])[0] == "deal" and event["state"][1]["id"] in g.deals[:FORGOTTEN]:
            event["forgotten"] = "later" not in event
    return g.made


def event_id(event):
    """A UUIDv8 of source and body: what the header ce_id is promised to be."""
    digest = bytearray(hashlib.sha256(event["source"].encode() + b"\0" + event["body"].encode()).digest()[:16])
    digest[6], digest[8] = digest[6] & 0x0F | 0x80, digest[8] & 0x3F | 0x80
    return str(uuid.UUID(bytes=bytes(digest)))


def newest(made):
    """(kind, place) -> id -> the newest state, where the place is an id or a number."""
    kept = {}
    rank = lambda state: (state["updated_at"] is not None, state["updated_at"] or "")
    for event in made:
        if "state" in event:
            kind, state, numbers = event["state"]
            for place in ([] if event.get("forgotten") else [state["id"]]) + numbers:
                states = kept.setdefault((kind, place), {})
                if state["id"] not in states or rank(state) > rank(states[state["id"]]):
                    states[state["id"]] = state
    return kept


def joins(made):
    kept, rows = newest(made), {}
    for event in made:
        keys = [("reference", "deal", deal) for deal in event.get("deals", [])]
        if event.get("number"):
            keys += [("number", kind, event["number"]) for kind in ["deal", "lead"]]
        for way, kind, key in keys:
            for state in kept.get((kind, key), {}).values():
                if (way, kind) != ("number", "deal"):
                    rows["activity", kind, state["id"], event_id(event)] = [
                        kind, state["id"], event_id(event), event["type"], seconds(event["at"]), state["title"], state["status"],
                        seconds(state["updated_at"])]
                if "message" in event and kind == "deal":
                    body = event["message"]
                    rows["message", way, state["id"], body["messageId"]] = [
                        way, state["id"], body["messageId"], body["fromMe"], body["messageBody"], seconds(event["at"]),
                        state["title"], state["status"], state["value"]]
    return rows


def seconds(text):
    return text and datetime.fromisoformat(text).timestamp()


def plain(row):
    columns = ACTIVITY if "about" in row else MESSAGE
    place = ("activity" if "about" in row else "message", *(row[column] for column in columns[:3]))
    return place, [seconds(row[column]) if column.endswith("_at") else row[column] for column in columns]


def compare(made, rows, tail):
    expected, found, wrong = joins(made), {}, []
    if tail:
        rows = last_rows(rows)
    for place, row in map(plain, rows):
        if place in found:
            wrong.append((place, "is there twice"))
        found[place] = row
    for place in expected.keys() | found.keys():
        if expected.get(place) != found.get(place):
            wrong.append((place, f"expected {expected.get(place)}\n  found {found.get(place)}"))
    for place, words in wrong[:5]:
        print(place, words, file=sys.stderr)
    ways = Counter(place[:2] for place in expected)
    types = Counter(row[3].split(".")[0] for place, row in expected.items() if place[0] == "activity")
    print(f"{dict(ways)} {dict(types)} expected, {len(wrong)} wrong")
    return not wrong and len(ways) == 4 and len(types) == 7


def last_rows(records):
    kept = {}
    for record in records:
        if record["value"] is None:
            kept = {place: row for place, row in kept.items() if place[0] != (record["topic"], record["key"])}
        else:
            kept[(record["topic"], record["key"]), plain(record["value"])[0]] = record["value"]
    return kept.values()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["events", seed, count]:
            for event in events(int(seed), int(count)):
                print(json.dumps(event, ensure_ascii=False))
        case ["forgotten", sent]:
            print(*sorted({event["state"][1]["id"] for event in lines(sent) if event.get("forgotten")}), sep="\n")
        case ["compare", sent, rows, *tail]:
            sys.exit(0 if compare(lines(sent), lines(rows), tail == ["--tail"]) else 1)
        case _:
            sys.exit(__doc__)
