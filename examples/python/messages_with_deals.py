"""Joins Whazing's messages with Wegly's deals, by reference and by number, and prints the rows as JSON lines. See README.md."""

import argparse
import json
import sys
from os import getenv
from uuid import UUID

import duckdb
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from chat_with_deal import BATCH, TIMEOUT, decoder, insert

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
        # Of equal times the later state counts; one without is older than any with.
        rank = deal["updated_at"] is not None, deal["updated_at"]
        if deal["id"] not in states or states[deal["id"]][0] <= rank:
            states[deal["id"]] = rank, (way, key, UUID(str(deal["id"])), deal["title"], deal["status"], deal["value"])

    def tables(self, db):
        db.execute(TABLES)
        insert(db, "INTO messages", self.messages.values())
        insert(db, "INTO deals", [row for states in self.deals.values() for _, row in states.values()])


def read(options, decode):
    """Everything up to where the topics end now."""
    consumer = Consumer({
        "bootstrap.servers": options.brokers,
        "group.id": "messages-with-deals",  # required, but of no use here
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "log_level": 0,
        "error_cb": lambda error: print(f"Kafka: {error.str()}", file=sys.stderr),
    })
    topics = {}
    for way, messages, deals in WAYS:
        topics[options.prefix + messages], topics[options.prefix + deals] = (way, True), (way, False)
    known = consumer.list_topics(timeout=TIMEOUT).topics
    if missing := sorted(topics.keys() - known.keys()):
        raise RuntimeError(f"not at {options.brokers}: {', '.join(missing)}: is kafka.join_topics \"all\"?")
    unfinished = {(topic, part) for topic in topics for part in known[topic].partitions}
    consumer.assign([TopicPartition(*place, OFFSET_BEGINNING) for place in unfinished])
    newest = Newest()
    while unfinished:
        for message in consumer.consume(BATCH, timeout=1.0):
            if error := message.error():
                if error.code() != KafkaError._PARTITION_EOF:
                    raise KafkaException(error)
                unfinished.discard((message.topic(), message.partition()))
                continue
            (way, is_message), key, record = topics[message.topic()], message.key().decode(), decode(message.value())
            if not is_message:
                newest.deal(way, key, record)
            elif record is not None:
                newest.message(way, key, record["event"]["id"], record)
    consumer.close()
    return newest


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--brokers", default=getenv("BOOTSTRAP_SERVERS", "localhost:9092"), help="[BOOTSTRAP_SERVERS]")
    parser.add_argument("--registry", default=getenv("REGISTRY_URL", "http://localhost:8081"), help="[REGISTRY_URL]")
    parser.add_argument("--prefix", default=getenv("TOPIC_PREFIX", ""), help="kafka.topic_prefix [TOPIC_PREFIX]")
    options = parser.parse_args()
    try:
        db = duckdb.connect()
        read(options, decoder(options.registry)).tables(db)
    except KafkaException as error:
        sys.exit(f"messages_with_deals: Kafka at {options.brokers}: {error.args[0].str()}")
    except (RuntimeError, duckdb.Error) as error:
        sys.exit(f"messages_with_deals: {error}".splitlines()[0])
    rows = db.sql("FROM messages_with_deals ORDER BY sent_at, message_id, deal_id, met_by")
    for row in rows.fetchall():
        print(json.dumps(dict(zip(rows.columns, row)), default=str, ensure_ascii=False))


if __name__ == "__main__":
    main()
