"""What the examples that join both vendors are held against: Wegly's deals and Whazing's messages, and the join of them by
reference and by number, made of the bodies alone.

    join_vendors.py events SEED MESSAGES DEALS        bodies of webhooks in random order, one a line: {"source", "body"}
    join_vendors.py compare EVENTS ROWS [--last]      whether ROWS, JSON lines, are the join of EVENTS; --last: of several rows
                                                      of a way, a deal and a message, the last one counts

A deal has several states, which come in any order and with one or two chats each; messages carry a deal's id, somebody's number,
both or neither, in various spellings, and may come before their deal; some deals never come, and some bodies come twice. By
number, the newest state of a deal that was told with that number counts. Only Python's own library is used.
"""

import json
import random
import sys
import time
import uuid

from join import iso, lines

COLUMNS = ["met_by", "deal_id", "message_id", "from_me", "body_text", "sent_at", "deal_title", "deal_status", "deal_value"]


def number(n):
    return f"55119{80_000_000 + n:08}"


def spelled(rng, digits):
    """A number as a sender may write it."""
    short = digits[:4] + digits[5:]  # without the ninth digit, as WhatsApp has older accounts
    pretty = f"+{digits[:2]} {digits[2:4]} {digits[4:9]}-{digits[9:]}"
    return rng.choice([digits, short, pretty, short + "@s.whatsapp.net"])


def reference(rng, deal):
    """A deal's id as a ticket may carry it."""
    key = {"externalKey": rng.choice([deal, deal.upper(), f" {deal} "])}
    return rng.choice([deal, deal.upper(), f"  {deal}\n", key, json.dumps(key)])


def events(seed, messages, deals):
    rng = random.Random(seed)
    ids = [str(uuid.UUID(int=rng.getrandbits(128), version=4)) for _ in range(deals)]
    made = []
    for n, deal in enumerate(ids):
        if n % 50 == 49:
            continue
        # Within Kafka's segment.ms of each other: else old states would be compacted away while they are still to be read.
        base = int(time.time() * 1000) - rng.choice([1, 24, 72]) * 3_600_000
        for state in range(rng.randint(1, 5)):
            # Two deals have a number in common, and a deal changes its second one.
            numbers = rng.sample([number(n // 2), number(deals + 5 * n + state)], rng.randint(0, 2))
            chats = [{"id": str(uuid.UUID(int=rng.getrandbits(128), version=4)), "raw_number": spelled(rng, digits)}
                     for digits in numbers]
            snapshot = {"id": deal, "title": f"deal {n} state {state}", "status": rng.choice([1, 2, 3]),
                        "value": rng.randint(0, 10**6) / 100, "updated_at": iso(base + state * 60_000), "whatsapp_chats": chats}
            key = rng.choice(["deal.updated", "deal.stage_changed", "deal.won"])
            payload = snapshot if key == "deal.updated" else {"deal": snapshot}
            made.append({"source": "wegly", "body": {"event_key": key, "payload": payload}, "numbers": numbers})
    for n in range(messages):
        deal = rng.choice(ids) if rng.random() < 0.6 else None
        digits = number(rng.choice([rng.randrange(deals), deals + rng.randrange(5 * deals)])) if rng.random() < 0.6 else None
        ticket = {"id": n + 1, "apiConfig": reference(rng, deal) if deal else rng.choice([None, "", {"other": 1}])}
        contact = {"id": n + 1, "phoneNumber": spelled(rng, digits) if digits else rng.choice([None, "120363041234567890@g.us"])}
        body = {"messageId": f"m{n}", "fromMe": rng.random() < 0.5, "timestamp": 1_780_000_000 + n, "ticket": ticket,
                "messageBody": rng.choice([f"olá {n} 😀", f"text {n}", None]), "contact": contact}
        made.append({"source": "whazing", "body": body, "deal": deal, "number": digits})
    made += rng.sample(made, len(made) // 10)
    rng.shuffle(made)
    return made


def join(made):
    newest = {}  # (way, key, deal) -> snapshot
    for event in made:
        if event["source"] == "wegly":
            deal = event["body"]["payload"].get("deal", event["body"]["payload"])
            for place in [("reference", deal["id"]), *(("number", digits) for digits in event["numbers"])]:
                kept = newest.setdefault(place, {}).setdefault(deal["id"], deal)
                if deal["updated_at"] > kept["updated_at"]:
                    newest[place][deal["id"]] = deal
    rows = {}
    for event in made:
        if event["source"] == "whazing":
            body = event["body"]
            for way, key in [("reference", event["deal"]), ("number", event["number"])]:
                for deal in newest.get((way, key), {}).values():
                    rows[way, deal["id"], body["messageId"]] = {
                        "met_by": way, "deal_id": deal["id"], "message_id": body["messageId"], "from_me": body["fromMe"],
                        "body_text": body["messageBody"], "sent_at": iso(body["timestamp"] * 1000),
                        "deal_title": deal["title"], "deal_status": deal["status"], "deal_value": deal["value"]}
    return rows


def compare(made, rows, last):
    expected, found, wrong = join(made), {}, []
    for row in rows:
        place = row["met_by"], row["deal_id"], row["message_id"]
        if place in found and not last:
            wrong.append((place, "is there twice"))
        found[place] = {column: row[column] for column in COLUMNS}
    for place in expected.keys() | found.keys():
        if expected.get(place) != found.get(place):
            wrong.append((place, f"expected {expected.get(place)}\n  found {found.get(place)}"))
    for place, words in wrong[:5]:
        print(place, words, file=sys.stderr)
    ways = {way: sum(place[0] == way for place in expected) for way in ["reference", "number"]}
    print(f"{ways} expected, {len(wrong)} wrong")
    return not wrong and all(ways.values())


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["events", seed, messages, deals]:
            for event in events(int(seed), int(messages), int(deals)):
                print(json.dumps(event, ensure_ascii=False))
        case ["compare", sent, rows, *last]:
            sys.exit(0 if compare(lines(sent), lines(rows), last == ["--last"]) else 1)
        case _:
            sys.exit(__doc__)
