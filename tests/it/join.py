"""What the examples are held against: events of chats and deals, and the join of them, made of the bodies alone.

    join.py events SEED MESSAGES DEALS          bodies of webhooks in random order, one a line
    join.py compare EVENTS ROWS [--last]        whether ROWS, JSON lines, are the join of EVENTS; --last: of several rows
                                                of a deal and a message, the last one counts

A deal has several states, which come in any order, and chats may come before their deal; some deals never come, and some
bodies come twice. Only Python's own library is used.
"""

import json
import random
import sys
import time
import uuid
from datetime import datetime, timezone

COLUMNS = ["deal_id", "message_id", "from_me", "body_text", "sent_at", "deal_title", "deal_status", "deal_value",
           "deal_updated_at"]


def events(seed, messages, deals):
    rng = random.Random(seed)
    new_id = lambda: str(uuid.UUID(int=rng.getrandbits(128), version=4))
    ids = [new_id() for _ in range(deals)]
    bodies = []
    for n, deal in enumerate(ids):
        if n % 50 == 49:
            continue
        # Within Kafka's segment.ms of each other: else old states would be compacted away while they are still to be read.
        base = int(time.time() * 1000) - rng.choice([1, 24, 72]) * 3_600_000
        for state in range(rng.randint(1, 5)):
            snapshot = {"id": deal, "title": f"deal {n} state {state}", "status": rng.choice([1, 2, 3]),
                        "value": rng.randint(0, 10**6) / 100, "updated_at": iso(base + state * 60_000)}
            key = rng.choice(["deal.updated", "deal.stage_changed", "deal.won"])
            payload = snapshot if key == "deal.updated" else {"deal": snapshot}
            bodies.append({"event_key": key, "payload": payload})
    for n in range(messages):
        received = rng.random() < 0.5
        linked = rng.sample(ids, 2) if n % 20 == 0 else [rng.choice(ids)]
        bodies.append({"event_key": "chat.message_received" if received else "chat.message_sent", "payload": {
            "id": new_id(), "body_text": rng.choice([f"olá {n} 😀", f"text {n}", None]), "from_me": not received,
            "sent_via": "CONTACT" if received else "API", "meta_timestamp": iso(1_780_000_000_000 + n),
            "associated_deals": [{"id": deal, "title": None} for deal in linked]}})
    bodies += rng.sample(bodies, len(bodies) // 10)
    rng.shuffle(bodies)
    return bodies


def iso(millis):
    return datetime.fromtimestamp(millis / 1000, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def join(bodies):
    newest = {}
    for body in bodies:
        if body["event_key"].startswith("deal."):
            deal = body["payload"].get("deal", body["payload"])
            if deal["id"] not in newest or deal["updated_at"] > newest[deal["id"]]["updated_at"]:
                newest[deal["id"]] = deal
    rows = {}
    for body in bodies:
        if body["event_key"].startswith("chat."):
            message = body["payload"]
            for deal in (newest[link["id"]] for link in message["associated_deals"] if link["id"] in newest):
                rows[deal["id"], message["id"]] = plain({
                    "deal_id": deal["id"], "message_id": message["id"], "from_me": message["from_me"],
                    "body_text": message["body_text"], "sent_at": message["meta_timestamp"],
                    "deal_title": deal["title"], "deal_status": deal["status"], "deal_value": deal["value"],
                    "deal_updated_at": deal["updated_at"]})
    return rows


def plain(row):
    """The columns of a row that all examples have, instants in one spelling."""
    row = {column: row[column] for column in COLUMNS}
    for column in ["sent_at", "deal_updated_at"]:
        if row[column] is not None:
            row[column] = datetime.fromisoformat(row[column]).timestamp()
    return row


def compare(bodies, rows, last):
    expected, found, wrong = join(bodies), {}, []
    for row in map(plain, rows):
        pair = row["deal_id"], row["message_id"]
        if pair in found and not last:
            wrong.append((pair, "is there twice"))
        found[pair] = row
    for pair in expected.keys() | found.keys():
        # A deal that never came: with a left join the message stands alone.
        if pair not in expected and found[pair]["deal_title"] is None:
            continue
        if expected.get(pair) != found.get(pair):
            wrong.append((pair, f"expected {expected.get(pair)}\n  found {found.get(pair)}"))
    for pair, words in wrong[:5]:
        print(pair, words, file=sys.stderr)
    print(f"{len(expected)} expected, {len(wrong)} wrong")
    return not wrong and len(expected) > 0


def lines(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["events", seed, messages, deals]:
            for body in events(int(seed), int(messages), int(deals)):
                print(json.dumps(body, ensure_ascii=False))
        case ["compare", sent, rows, *last]:
            sys.exit(0 if compare(lines(sent), lines(rows), last == ["--last"]) else 1)
        case _:
            sys.exit(__doc__)
