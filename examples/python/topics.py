"""What the examples that read everything have in common: options, and a way through topics up to where they end now."""

import argparse
import sys
from os import getenv

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from chat_with_deal import BATCH, TIMEOUT


def options(description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--brokers", default=getenv("BOOTSTRAP_SERVERS", "localhost:9092"), help="[BOOTSTRAP_SERVERS]")
    parser.add_argument("--registry", default=getenv("REGISTRY_URL", "http://localhost:8081"), help="[REGISTRY_URL]")
    parser.add_argument("--prefix", default=getenv("TOPIC_PREFIX", ""), help="kafka.topic_prefix [TOPIC_PREFIX]")
    return parser.parse_args()


def records(options, topics, decode):
    """Topic, key and value of each record up to where the topics end now, in order within a partition. A tombstone is None."""
    consumer = Consumer({
        "bootstrap.servers": options.brokers,
        "group.id": "hookbridge-examples",  # required, but of no use here
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "log_level": 0,
        "error_cb": lambda error: print(f"Kafka: {error.str()}", file=sys.stderr),
    })
    known = consumer.list_topics(timeout=TIMEOUT).topics
    full = {options.prefix + topic: topic for topic in topics}
    if missing := sorted(full.keys() - known.keys()):
        raise RuntimeError(f"not at {options.brokers}: {', '.join(missing)}: is kafka.join_topics \"all\"?")
    unfinished = {(topic, part) for topic in full for part in known[topic].partitions}
    consumer.assign([TopicPartition(*place, OFFSET_BEGINNING) for place in unfinished])
    while unfinished:
        for message in consumer.consume(BATCH, timeout=1.0):
            if error := message.error():
                if error.code() != KafkaError._PARTITION_EOF:
                    raise KafkaException(error)
                unfinished.discard((message.topic(), message.partition()))
            else:
                yield full[message.topic()], message.key().decode(), decode(message.value())
    consumer.close()


def is_newer(updated_at, kept):
    """Whether a state replaces the one that is kept: of equal times the later counts; one without is older than any with."""
    return (updated_at is not None, updated_at) >= (kept is not None, kept)
