"""Reads Kafka topics back with clients that are not hookbridge's: confluent-kafka and fastavro.

    python read_back.py BOOTSTRAP REGISTRY_URL TOPIC...

Prints one JSON object per record: where it lies, its key, headers, timestamp and schema id, and the decoded record;
instants are milliseconds since 1970, or ISO 8601 where they have microseconds, dates are days, times of day ISO 8601, decimals texts,
bytes base64. The schema is the registry's, by the id in the record.
"""

import base64
import datetime
import decimal
import io
import json
import struct
import sys
import time
import urllib.request
import uuid

import confluent_kafka
import fastavro

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def schema(registry, schema_id, known={}):
    if schema_id not in known:
        with urllib.request.urlopen(f"{registry}/schemas/ids/{schema_id}", timeout=30) as answer:
            known[schema_id] = fastavro.parse_schema(json.loads(json.load(answer)["schema"]))
    return known[schema_id]


def plain(value):
    if isinstance(value, datetime.datetime):
        micros = (value - EPOCH) // datetime.timedelta(microseconds=1)
        return value.isoformat() if micros % 1000 else micros // 1000
    if isinstance(value, datetime.time):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return str(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime.date):
        return (value - EPOCH.date()).days
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def read(consumer, topics, registry):
    counts, assigned, due = {}, [], 0
    for topic in topics:
        partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
        counts[topic] = len(partitions)
        for partition in partitions:
            low, high = consumer.get_watermark_offsets(confluent_kafka.TopicPartition(topic, partition), timeout=30)
            if high > low:
                assigned.append(confluent_kafka.TopicPartition(topic, partition, low))
            due += high - low
    consumer.assign(assigned)
    end = time.monotonic() + 30
    while due > 0:
        message = consumer.poll(0.2)
        if message is None or message.error():
            assert time.monotonic() < end, f"{due} records short"
            continue
        due -= 1
        magic, schema_id = struct.unpack(">bI", message.value()[:5])
        assert magic == 0
        stream = io.BytesIO(message.value()[5:])
        record = fastavro.schemaless_reader(stream, schema(registry, schema_id), None)
        assert not stream.read(), "bytes after the record"
        yield {
            "topic": message.topic(),
            "partition": message.partition(),
            "partitions": counts[message.topic()],
            "key": message.key().decode(),
            "timestamp": message.timestamp()[1],
            "headers": {name: value.decode() for name, value in message.headers()},
            "record": plain(record),
        }


def main(bootstrap, registry, *topics):
    config = {"bootstrap.servers": bootstrap, "group.id": "reads by assignment", "enable.auto.commit": False}
    consumer = confluent_kafka.Consumer(config)
    for record in read(consumer, topics, registry):
        print(json.dumps(record))
    consumer.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
