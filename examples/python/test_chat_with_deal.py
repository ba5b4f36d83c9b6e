import unittest
from datetime import UTC, datetime
from uuid import UUID

import duckdb

from chat_with_deal import TABLES, Window, resume, store

DEAL = UUID(int=1)


class Record:
    """As much of a Kafka message as is looked at; its value is not Avro but what that would give."""

    def __init__(self, position, value, topic="deals", event_id=None, timestamp=0):
        self.topic, self.partition, self.offset = lambda: topic, lambda: 0, lambda: position
        self.key, self.value = lambda: str(DEAL).encode(), lambda: value
        self.headers = lambda: [("ce_id", event_id.encode())] if event_id else None
        self.timestamp = lambda: (1, timestamp)


def state(title, updated_at):
    at = updated_at and datetime.fromtimestamp(updated_at, UTC)
    deal = {"title": title, "status": 1, "value": 1.5, "updated_at": at}
    return {"event": {"received_at": datetime.fromtimestamp(5, UTC)}, "deal": deal}


def chat(text):
    message = {"id": UUID(int=2), "from_me": None, "body_text": text, "meta_timestamp": None, "created_at": None}
    return {"event": {"received_at": datetime.fromtimestamp(5, UTC)}, "message": message}


class WindowTest(unittest.TestCase):
    def test_forgets_by_age_though_a_duplicate_came_in_between(self):
        window = Window(span=100, limit=10)
        new = [window.is_new("a", at, at) for at in (0, 60, 99, 100, 101)]
        self.assertEqual(new, [True, False, False, True, False])

    def test_what_is_late_counts_from_when_it_came(self):
        window = Window(span=100, limit=10)
        self.assertEqual([window.is_new(*x, 0) for x in (("a", 500), ("b", 1), ("b", 599))], [True, True, False])

    def test_forgets_the_oldest_beyond_the_limit(self):
        window = Window(span=100, limit=2)
        self.assertEqual([window.is_new(x, 0, 0) for x in "abcba"], [True, True, True, False, True])
        self.assertEqual(len(window.seen), 2)


class StoreTest(unittest.TestCase):
    def setUp(self):
        self.db = duckdb.connect()
        self.db.execute(TABLES)
        self.restart()

    def restart(self):
        self.starts, self.windows = resume(self.db, [("deals", 0), ("chats", 0)])

    def store(self, *records):
        store(self.db, records, self.windows, "chats", lambda value: value)

    def titles(self):
        return [title for title, in self.db.execute("SELECT title FROM deals").fetchall()]

    def test_the_greater_updated_at_stays(self):
        self.store(Record(0, state("new", 9)), Record(1, state("old", 8)))
        self.store(Record(2, state("older", 7)), Record(3, state("without", None)))
        self.assertEqual(self.titles(), ["new"])
        self.store(Record(4, state("newest", 9)))
        self.assertEqual(self.titles(), ["newest"])

    def test_a_state_without_updated_at_is_older_than_all_with_and_of_equal_ones_the_later_stays(self):
        self.store(Record(0, state("a", None), event_id="1"), Record(1, state("b", None)))
        self.assertEqual(self.titles(), ["b"])
        self.store(Record(2, state("a", None), event_id="1"))
        self.assertEqual(self.titles(), ["a"])
        self.store(Record(3, state("before it was received", 1)), Record(4, state("later", None)))
        self.assertEqual(self.titles(), ["before it was received"])

    def test_a_tombstone_removes_and_what_follows_it_counts(self):
        self.store(Record(0, state("a", 9)), Record(1, None))
        self.assertEqual(self.titles(), [])
        self.store(Record(2, state("a", 9)))
        self.store(Record(3, None), Record(4, state("b", 3)))
        self.assertEqual(self.titles(), ["b"])

    def test_the_window_and_the_offsets_survive_a_restart(self):
        self.store(Record(0, chat("a"), "chats", "id"), Record(1, chat("a"), "chats", "id"))
        self.restart()
        self.assertEqual({start.topic: start.offset for start in self.starts}["chats"], 2)
        self.store(Record(2, chat("a"), "chats", "id"))
        self.assertEqual(self.db.execute("SELECT count(*) FROM chat_with_deal").fetchall(), [(1,)])
        self.store(Record(3, chat("a"), "chats", "id", timestamp=25 * 3_600_000))
        self.assertEqual(self.db.execute("SELECT count(*) FROM chat_with_deal").fetchall(), [(2,)])
        self.assertEqual(self.db.execute("SELECT position FROM seen").fetchall(), [(3,)])


if __name__ == "__main__":
    unittest.main()
