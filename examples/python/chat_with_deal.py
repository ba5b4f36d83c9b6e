"""Joins chat messages with their deals in a DuckDB file. See README.md."""

import argparse
import json
import signal
import sys
import threading
from collections import OrderedDict
from os import getenv
from uuid import UUID

import duckdb
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer

BATCH = 5000
TIMEOUT = 10.0  # seconds
WINDOW_SPAN = 24 * 3_600_000  # milliseconds
WINDOW_LIMIT = 20_000  # ids, per partition

TABLES = """
SET TimeZone = 'UTC';
CREATE TABLE IF NOT EXISTS messages (
    deal_id UUID, message_id UUID, from_me BOOLEAN, body_text VARCHAR, sent_at TIMESTAMPTZ, received_at TIMESTAMPTZ);
CREATE TABLE IF NOT EXISTS deals (
    deal_id UUID, title VARCHAR, status BIGINT, value DOUBLE, updated_at TIMESTAMPTZ);
CREATE VIEW IF NOT EXISTS chat_with_deal AS
    SELECT m.deal_id, m.message_id, m.from_me, m.body_text, m.sent_at,
           d.title AS deal_title, d.status AS deal_status, d.value AS deal_value, d.updated_at AS deal_updated_at
    FROM messages m LEFT JOIN deals d USING (deal_id);
CREATE TABLE IF NOT EXISTS progress (topic VARCHAR, part INT, position BIGINT, clock BIGINT, PRIMARY KEY (topic, part));
CREATE TABLE IF NOT EXISTS seen (topic VARCHAR, part INT, position BIGINT, clock BIGINT, key VARCHAR, id VARCHAR);
"""


class Window:
    """What one partition held lately: at most `limit` identities, none longer than `span` milliseconds."""

    def __init__(self, span=WINDOW_SPAN, limit=WINDOW_LIMIT):
        self.span, self.limit, self.clock = span, limit, 0
        self.seen = OrderedDict()  # identity -> (clock, position), oldest first

    def is_new(self, identity, timestamp, position):
        # Records need not be in the order of their timestamps (kafka.timestamp), so they age by the partition's clock:
        # the greatest timestamp so far.
        self.clock = max(self.clock, timestamp)
        while self.seen and next(iter(self.seen.values()))[0] <= self.clock - self.span:
            self.seen.popitem(last=False)
        if identity in self.seen:
            return False  # and not renewed: else what truly happens every hour would count once for ever
        self.seen[identity] = self.clock, position
        if len(self.seen) > self.limit:
            self.seen.popitem(last=False)
        return True


def decoder(url):
    try:
        registry = SchemaRegistryClient({"url": url, "timeout": TIMEOUT, "max.retries": 1})
        registry.get_subjects()  # to find out now, not at the first record
    except Exception as error:
        raise RuntimeError(f"no answer from the registry at {url}: {error}") from error
    return AvroDeserializer(registry)


def message_row(deal_id, record):
    message = record["message"]
    sent_at = message["meta_timestamp"] or message["created_at"]
    return deal_id, message["id"], message["from_me"], message["body_text"], sent_at, record["event"]["received_at"]


def deal_row(deal_id, record):
    deal = record["deal"]
    return deal_id, deal["title"], deal["status"], deal["value"], deal["updated_at"]


def is_older(row, kept):
    """Whether a state is older than the one that is kept. One without updated_at is older than all with."""
    updated_at, kept_at = row[-1], kept[-1]
    return kept_at is not None and (updated_at is None or updated_at < kept_at)


def insert(db, into, rows):
    # One statement with a list per column: many times faster than executemany.
    if columns := [list(column) for column in zip(*rows)]:
        db.execute(f"INSERT {into} SELECT {', '.join(['unnest(?)'] * len(columns))}", columns)


def store(db, records, windows, chat_topic, decode):
    """Applies the records and notes how far they were read, in one transaction: both are in the file, or neither."""
    messages, seen, progress = [], [], {}
    touched = [record.key().decode() for record in records if record.topic() != chat_topic]
    rows = db.execute("SELECT * FROM deals WHERE deal_id IN (SELECT unnest(?::UUID[]))", [touched]).fetchall()
    deals = {row[0]: row for row in rows}
    for record in records:
        place = record.topic(), record.partition()
        window, position, key = windows[place], record.offset(), record.key().decode()
        progress[place] = position + 1
        # A state that comes again is the later of two equal ones; a message that comes again is not another message.
        event_id = dict(record.headers() or []).get("ce_id", b"").decode() if record.topic() == chat_topic else None
        if event_id:
            if not window.is_new((key, event_id), record.timestamp()[1], position):
                continue
            seen.append((*place, position, window.clock, key, event_id))
        try:
            deal_id, value = UUID(key), decode(record.value())
        except Exception as error:
            raise RuntimeError(f"cannot read {place[0]}/{place[1]}@{position}: {error}") from error
        if record.topic() == chat_topic:
            if value:
                messages.append(message_row(deal_id, value))
        elif value is None:
            deals.pop(deal_id, None)
        else:
            row = deal_row(deal_id, value)
            if deal_id not in deals or not is_older(row, deals[deal_id]):
                deals[deal_id] = row
    db.begin()
    insert(db, "INTO messages", messages)
    db.execute("DELETE FROM deals WHERE deal_id IN (SELECT unnest(?::UUID[]))", [touched])
    insert(db, "INTO deals", deals.values())
    insert(db, "INTO seen", seen)
    insert(db, "OR REPLACE INTO progress", [(*place, n, windows[place].clock) for place, n in progress.items()])
    for (topic, part), n in progress.items():
        _, oldest = next(iter(windows[topic, part].seen.values()), (0, n))
        db.execute("DELETE FROM seen WHERE topic = ? AND part = ? AND position < ?", [topic, part, oldest])
    db.commit()


def resume(db, places):
    """Where to read on in each partition, and what was seen there."""
    windows = {place: Window() for place in places}
    starts = dict.fromkeys(places, OFFSET_BEGINNING)
    for topic, part, position, clock in db.execute("SELECT * FROM progress").fetchall():
        if (topic, part) in windows:
            starts[topic, part], windows[topic, part].clock = position, clock
    for topic, part, position, clock, key, event_id in db.execute("SELECT * FROM seen ORDER BY position").fetchall():
        if (topic, part) in windows:
            windows[topic, part].seen[key, event_id] = clock, position
    return [TopicPartition(*place, position) for place, position in starts.items()], windows


def run(options, stopping):
    db = duckdb.connect(options.db)
    db.execute(TABLES)
    decode = decoder(options.registry)
    consumer = Consumer({
        "bootstrap.servers": options.brokers,
        "group.id": "chat-with-deal",  # required, but of no use here: the file knows how far it is
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "enable.partition.eof": True,
        "log_level": 0,  # librdkafka's own; what matters comes here:
        "error_cb": lambda error: print(f"Kafka: {error.str()}", file=sys.stderr),
    })
    chat_topic, deal_topic = f"{options.prefix}wegly.chat-by-deal", f"{options.prefix}wegly.deal-latest"
    known = consumer.list_topics(timeout=TIMEOUT).topics
    if missing := sorted({chat_topic, deal_topic} - known.keys()):
        raise RuntimeError(f"not at {options.brokers}: {', '.join(missing)}")
    places = [(topic, part) for topic in (chat_topic, deal_topic) for part in known[topic].partitions]
    starts, windows = resume(db, places)
    ends = {place: consumer.get_watermark_offsets(TopicPartition(*place), timeout=TIMEOUT)[1] for place in places}
    unfinished = set(places)
    consumer.assign(starts)
    while not stopping.is_set() and (unfinished or not options.until_end):
        records = []
        for message in consumer.consume(BATCH, timeout=1.0):
            place, error = (message.topic(), message.partition()), message.error()
            if error is None:
                records.append(message)
            elif error.code() != KafkaError._PARTITION_EOF:
                raise KafkaException(error)
            if error or message.offset() + 1 >= ends[place]:
                unfinished.discard(place)
        if records:
            store(db, records, windows, chat_topic, decode)
    consumer.close()
    if options.print:
        rows = db.sql("FROM chat_with_deal ORDER BY sent_at, message_id, deal_id")
        for row in rows.fetchall():
            print(json.dumps(dict(zip(rows.columns, row)), default=str, ensure_ascii=False))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--brokers", default=getenv("BOOTSTRAP_SERVERS", "localhost:9092"), help="[BOOTSTRAP_SERVERS]")
    parser.add_argument("--registry", default=getenv("REGISTRY_URL", "http://localhost:8081"), help="[REGISTRY_URL]")
    parser.add_argument("--prefix", default=getenv("TOPIC_PREFIX", ""), help="kafka.topic_prefix [TOPIC_PREFIX]")
    parser.add_argument("--db", default="chat.duckdb", metavar="FILE")
    parser.add_argument("--until-end", action="store_true", help="stop at what is the end now")
    parser.add_argument("--print", action="store_true", help="print the join as JSON lines when done")
    options = parser.parse_args()
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    try:
        run(options, stopping)
    except KafkaException as error:
        sys.exit(f"chat_with_deal: Kafka at {options.brokers}: {error.args[0].str()}")
    except (RuntimeError, duckdb.Error) as error:
        sys.exit(f"chat_with_deal: {error}".splitlines()[0])


if __name__ == "__main__":
    main()
