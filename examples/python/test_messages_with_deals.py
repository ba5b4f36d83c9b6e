import unittest
from datetime import UTC, datetime

import duckdb

from messages_with_deals import Newest

DEALS = [f"00000000-0000-4000-8000-00000000000{n}" for n in range(3)]


def at(seconds):
    return seconds and datetime.fromtimestamp(seconds, UTC)


def deal(n, title, updated_at):
    return {"deal": {"id": DEALS[n], "title": title, "status": 1, "value": 1.5, "updated_at": at(updated_at)}}


def message(text):
    return {"message_id": text, "from_me": False, "message_body": text, "timestamp": at(1_780_000_000)}


class NewestTest(unittest.TestCase):
    def setUp(self):
        self.newest = Newest()

    def rows(self):
        db = duckdb.connect()
        self.newest.tables(db)
        return sorted(db.sql("SELECT met_by, message_id, deal_title FROM messages_with_deals").fetchall())

    def test_each_way_has_its_own_keys_and_a_duplicate_is_one_message(self):
        for event_id in ["a", "a", "b"]:
            self.newest.message("number", "55", event_id, message(event_id))
        self.newest.message("reference", DEALS[0], "c", message("c"))
        self.newest.deal("number", "55", deal(0, "x", 1))
        self.newest.deal("number", "55", deal(1, "y", 1))
        self.newest.deal("reference", "55", deal(2, "z", 1))
        self.assertEqual(self.rows(), [("number", "a", "x"), ("number", "a", "y"), ("number", "b", "x"), ("number", "b", "y")])

    def test_the_greater_updated_at_stays_and_none_is_no_newer(self):
        self.newest.message("reference", DEALS[0], "m", message("m"))
        for title, updated_at, kept in [
            ("first", None, "first"), ("again", None, "again"), ("new", 9, "new"), ("old", 8, "new"), ("none", None, "new"), ("equal", 9, "equal"),
        ]:
            self.newest.deal("reference", DEALS[0], deal(0, title, updated_at))
            self.assertEqual(self.rows(), [("reference", "m", kept)])

    def test_a_tombstone_removes(self):
        self.newest.message("reference", DEALS[0], "m", message("m"))
        self.newest.deal("reference", DEALS[0], deal(0, "x", 9))
        self.newest.deal("reference", DEALS[0], None)
        self.assertEqual(self.rows(), [])
        self.newest.deal("reference", DEALS[0], deal(0, "y", 1))
        self.assertEqual(self.rows(), [("reference", "m", "y")])


if __name__ == "__main__":
    unittest.main()
