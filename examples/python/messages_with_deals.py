"""Joins Whazing's messages with Wegly's deals, by reference and by number, and prints the rows as JSON lines. See README.md."""

import json
import sys
from uuid import UUID

import duckdb
from confluent_kafka import KafkaException

from chat_with_deal import decoder, insert
from topics import is_newer, options, records

# The way two records meet, the topic of messages, and that of deals: both with the same keys.
WAYS = [
    ("reference", "whazing.message-by-reference", "wegly.deal-latest"),
    ("number", "whazing.message-by-phone", "wegly.deal-by-phone"),
]

TABLES = """
CREATE TABLE messages (
    met_by VARCHAR, key VARCHAR, message_id VARCHAR, from_me BOOLEAN, body_text VARCHAR, sent_at VARCHAR);
CREATE TABLE deals (met_by VARCHAR, key VARCHAR, deal_id UUID, title VARCHAR, status BIGINT, value DOUBLE);
CREATE VIEW messages_with_deals AS
    SELECT met_by, d.deal_id, m.message_id, m.from_me, m.body_text, m.sent_at,
           d.title AS deal_title, d.status AS deal_status, d.value AS deal_value
    FROM messages m JOIN deals d USING (met_by, key);
"""


class Newest:
    """The messages, each once, and the newest state of each deal under each key."""

    def __init__(self):
        self.messages, self.deals = {}, {}

    def message(self, way, key, event_id, record):
        sent_at = record["timestamp"] and record["timestamp"].isoformat(timespec="milliseconds").replace("+00:00", "Z")
        row = way, key, record["message_id"], record["from_me"], record["message_body"], sent_at
        self.messages.setdefault((way, key, event_id), row)

    def deal(self, way, key, record):
        states = self.deals.setdefault((way, key), {})
        if record is None:  # a tombstone, from `hookbridge forget`
            return states.clear()
        deal = record["deal"]
        if deal["id"] not in states or is_newer(deal["updated_at"], states[deal["id"]][0]):
            states[deal["id"]] = deal["updated_at"], (way, key, UUID(str(deal["id"])), deal["title"], deal["status"], deal["value"])

    def tables(self, db):
        db.execute(TABLES)
        insert(db, "INTO messages", self.messages.values())
        insert(db, "INTO deals", [row for states in self.deals.values() for _, row in states.values()])


def read(options, decode):
    """Everything up to where the topics end now."""
    ways = {topic: (way, topic == messages) for way, messages, deals in WAYS for topic in (messages, deals)}
    newest = Newest()
    for topic, key, record in records(options, ways, decode):
        way, is_message = ways[topic]
        if not is_message:
            newest.deal(way, key, record)
        elif record is not None:
            newest.message(way, key, record["event"]["id"], record)
    return newest


def main():
    chosen = options(__doc__)
    try:
        db = duckdb.connect()
        read(chosen, decoder(chosen.registry)).tables(db)
    except KafkaException as error:
        sys.exit(f"messages_with_deals: Kafka at {chosen.brokers}: {error.args[0].str()}")
    except (RuntimeError, duckdb.Error) as error:
        sys.exit(f"messages_with_deals: {error}".splitlines()[0])
    rows = db.sql("FROM messages_with_deals ORDER BY sent_at, message_id, deal_id, met_by")
    for row in rows.fetchall():
        print(json.dumps(dict(zip(rows.columns, row)), default=str, ensure_ascii=False))


if __name__ == "__main__":
    main()
