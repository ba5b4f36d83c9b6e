import unittest
from datetime import UTC, datetime

from activity import Activity

DEAL, OTHER, LEAD = (f"00000000-0000-4000-8000-00000000000{n}" for n in range(3))


def at(seconds):
    return seconds and datetime.fromtimestamp(seconds, UTC)


def event(event_id, event_type):
    return {"event": {"id": event_id, "type": event_type, "occurred_at": at(5)}}


def state(about, entity, title, updated_at):
    return {about: {"id": entity, "title": title, "status": 1, "updated_at": at(updated_at)}}


class ActivityTest(unittest.TestCase):
    def setUp(self):
        self.activity = Activity()

    def rows(self):
        return sorted((row["about"], row["event_id"], row["title"]) for row in self.activity.rows())

    def test_an_event_has_a_row_for_each_of_its_deals_and_a_duplicate_none(self):
        for key in [DEAL, OTHER, DEAL]:
            self.activity.event("deal", key, event("a", "contract.created"))
        self.activity.state("deal", DEAL, state("deal", DEAL, "x", 1))
        self.activity.state("deal", OTHER, state("deal", OTHER, "y", 1))
        self.assertEqual(self.rows(), [("deal", "a", "x"), ("deal", "a", "y")])

    def test_a_number_meets_leads_alone_and_the_newest_state_counts(self):
        self.activity.event("lead", "55", event("a", "message.received"))
        self.activity.state("deal", "55", state("deal", DEAL, "deal", 1))
        for title, updated_at in [("new", 9), ("old", 8), ("none", None), ("equal", 9)]:
            self.activity.state("lead", "55", state("lead", LEAD, title, updated_at))
        self.assertEqual(self.rows(), [("lead", "a", "equal")])

    def test_a_tombstone_removes(self):
        self.activity.event("deal", DEAL, event("a", "task.completed"))
        self.activity.state("deal", DEAL, state("deal", DEAL, "x", 9))
        self.activity.state("deal", DEAL, None)
        self.assertEqual(self.rows(), [])


if __name__ == "__main__":
    unittest.main()
