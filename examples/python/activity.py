"""What happened around each deal, and to each lead's numbers, as JSON lines. See README.md."""

import json
import sys

from confluent_kafka import KafkaException

from chat_with_deal import decoder
from topics import is_newer, options, records

# What a row is about, the topics of events, and that of states: all of a line have the same keys.
WAYS = [
    ("deal", ["wegly.chat-by-deal", "wegly.contract-by-deal", "wegly.delivery-by-deal", "wegly.task-by-deal",
              "wegly.satisfaction-by-deal", "whazing.message-by-reference", "whazing.ticket-by-reference"], "wegly.deal-latest"),
    ("lead", ["whazing.message-by-phone"], "wegly.lead-by-phone"),
]


class Activity:
    """Events, each once, and the newest state of each deal or lead under each key."""

    def __init__(self):
        self.events, self.states = {}, {}

    def event(self, about, key, record):
        event = record["event"]
        # Not by its id alone: an event with several deals has a record for each.
        self.events.setdefault((about, key, str(event["id"])), (event["type"], event["occurred_at"]))

    def state(self, about, key, record):
        states = self.states.setdefault((about, key), {})
        if record is None:  # a tombstone, from `hookbridge forget`
            return states.clear()
        state = record[about]
        kept = states.get(state["id"])
        if kept is None or is_newer(state["updated_at"], kept["updated_at"]):
            states[state["id"]] = state

    def rows(self):
        for (about, key, event_id), (event_type, occurred_at) in self.events.items():
            for state in self.states.get((about, key), {}).values():
                yield {"about": about, "id": str(state["id"]), "event_id": event_id, "event_type": event_type,
                       "occurred_at": occurred_at, "title": state["title"], "status": state["status"],
                       "updated_at": state["updated_at"]}


def read(options, decode):
    """Everything up to where the topics end now."""
    ways = {topic: (about, topic == states) for about, events, states in WAYS for topic in (*events, states)}
    activity = Activity()
    for topic, key, record in records(options, ways, decode):
        about, is_state = ways[topic]
        if is_state:
            activity.state(about, key, record)
        elif record is not None:
            activity.event(about, key, record)
    return activity


def text(value):
    return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def main():
    chosen = options(__doc__)
    try:
        activity = read(chosen, decoder(chosen.registry))
    except KafkaException as error:
        sys.exit(f"activity: Kafka at {chosen.brokers}: {error.args[0].str()}")
    except RuntimeError as error:
        sys.exit(f"activity: {error}".splitlines()[0])
    # Events without a time, such as Whazing's tickets, come first.
    for row in sorted(activity.rows(), key=lambda row: (row["about"], row["id"], row["occurred_at"] is not None, row["occurred_at"])):
        print(json.dumps(row, default=text, ensure_ascii=False))


if __name__ == "__main__":
    main()
