package dev.hookbridge.examples;

import static dev.hookbridge.examples.Events.deal;
import static dev.hookbridge.examples.Events.received;
import static dev.hookbridge.examples.Events.sent;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.atomic.LongAdder;
import java.util.stream.Collectors;
import org.apache.avro.generic.GenericRecord;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.streams.TestInputTopic;
import org.apache.kafka.streams.TestOutputTopic;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.TopologyDescription;
import org.apache.kafka.streams.TopologyTestDriver;
import org.apache.kafka.streams.test.TestRecord;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class ChatWithDealTest {
    private static final Instant START = Instant.parse("2026-06-02T12:00:00Z");

    private FakeRegistry registry;
    private Settings settings;
    private Topology topology;
    private TopologyTestDriver driver;
    private TestInputTopic<String, GenericRecord> chat;
    private TestInputTopic<String, GenericRecord> deals;
    private TestOutputTopic<String, GenericRecord> output;
    private final LongAdder written = new LongAdder();

    @BeforeEach
    void start() throws Exception {
        registry = new FakeRegistry();
        settings = Settings.from(Map.of("STATE_DIR", "target/state", "TOPIC_PREFIX", "test."), "chat-with-deal");
        AvroSerde avro = new AvroSerde(registry.url());
        topology = ChatWithDeal.topology(settings, avro, written);
        driver = new TopologyTestDriver(topology, settings.streams(), START);
        chat = driver.createInputTopic("test.wegly.chat-by-deal", new StringSerializer(), avro.serializer());
        deals = driver.createInputTopic("test.wegly.deal-latest", new StringSerializer(), avro.serializer());
        output = driver.createOutputTopic("test.chat-with-deal", new StringDeserializer(), avro.deserializer());
    }

    @AfterEach
    void stop() {
        driver.close();
        registry.close();
    }

    @Test
    void messages_and_deals_meet_in_one_task_without_repartitioning() {
        TopologyDescription description = topology.describe();

        assertEquals(1, description.subtopologies().size());
        assertFalse(description.toString().contains("repartition"));
        assertEquals(Set.of(settings.chatTopic(), settings.dealTopic()), sources(description));
        assertTrue(description.toString().contains("topic: test.chat-with-deal)"));
    }

    @Test
    void both_types_of_message_get_a_row() {
        deals.pipeInput("d", deal("d", "title", 1L));
        chat.pipeInput("d", received("m1", "question"));
        chat.pipeInput("d", sent("m2", "answer"));

        assertEquals(Map.of("d|m1", "question/title", "d|m2", "answer/title"), lastRows());
        assertEquals(2, written.sum());
    }

    @Test
    void a_row_has_the_fields_of_the_message_and_of_the_deal() {
        deals.pipeInput("d", deal("d", "title", 1L));
        chat.pipeInput("d", received("m", "text"));

        assertEquals(
                """
                {"deal_id": "d", "message_id": "m", "from_me": false, "sent_via": null, "body_text": "text", \
                "sent_at": 1780000000000, "is_history": null, \
                "deal_title": "title", "deal_status": 1, "deal_value": 10.5, "deal_updated_at": 1}""",
                output.readValue().toString());
        assertTrue(registry.subjects.contains("test.chat-with-deal-value"));
    }

    @Test
    void a_message_before_its_deal_gets_its_row_when_the_deal_comes() {
        chat.pipeInput("d", received("m", "text"));
        assertTrue(output.isEmpty());

        deals.pipeInput("d", deal("d", "title", 1L));
        assertEquals(Map.of("d|m", "text/title"), lastRows());
    }

    @Test
    void a_deal_whose_id_begins_another_has_only_its_own_messages() {
        chat.pipeInput("d", received("m", "text"));
        chat.pipeInput("d2", received("m", "other"));
        deals.pipeInput("d", deal("d", "title", 1L));

        assertEquals(Map.of("d|m", "text/title"), lastRows());
    }

    @Test
    void an_older_state_after_a_newer_one_is_ignored() {
        chat.pipeInput("d", received("m", "text"));
        deals.pipeInput("d", deal("d", "newer", 2L));
        assertEquals(Map.of("d|m", "text/newer"), lastRows());

        deals.pipeInput("d", deal("d", "older", 1L));
        deals.pipeInput("d", deal("d", "of no time", null));
        assertTrue(output.isEmpty());

        deals.pipeInput("d", deal("d", "as new, and later", 2L));
        assertEquals(Map.of("d|m", "text/as new, and later"), lastRows());
    }

    @Test
    void duplicates_write_nothing() {
        chat.pipeInput("d", received("m", "text"));
        deals.pipeInput("d", deal("d", "title", 1L));
        assertEquals(1, output.readValuesToList().size());

        chat.pipeInput("d", received("m", "text"));
        deals.pipeInput("d", deal("d", "title", 1L));
        assertTrue(output.isEmpty());
    }

    @Test
    void a_tombstone_is_passed_on_and_the_deal_is_gone_until_it_comes_again() {
        deals.pipeInput("d", deal("d", "title", 2L));
        chat.pipeInput("d", received("m1", "text"));
        deals.pipeInput("d", (GenericRecord) null);
        output.readValue();
        assertNull(output.readValue());

        deals.pipeInput("d", (GenericRecord) null);
        chat.pipeInput("d", received("m2", "text"));
        assertTrue(output.isEmpty());

        deals.pipeInput("d", deal("d", "again", 1L));
        assertEquals(Map.of("d|m1", "text/again", "d|m2", "text/again"), lastRows());
    }

    @Test
    void rows_have_the_time_of_writing_however_old_the_deal_is() {
        chat.pipeInput("d", received("m1", "text"), Instant.parse("2021-01-01T00:00:00Z"));
        deals.pipeInput("d", deal("d", "title", 1L), Instant.parse("2001-01-01T00:00:00Z"));
        chat.pipeInput("d", received("m2", "text"), Instant.parse("2021-01-01T00:00:00Z"));

        List<TestRecord<String, GenericRecord>> rows = output.readRecordsToList();
        assertEquals(List.of(START, START), rows.stream().map(TestRecord::getRecordTime).toList());
    }

    @Test
    void the_last_rows_do_not_depend_on_the_order_of_arrival() {
        Map<String, String> expected = new TreeMap<>();
        // Each round has deals of its own, the same but for their ids, in another order.
        for (int seed = 0; seed < 100; seed++) {
            List<Runnable> arrivals = new ArrayList<>();
            for (int d = 0; d < 3; d++) {
                String id = "deal-" + seed + "-" + d;
                for (long state = 1; state <= 4; state++) {
                    GenericRecord latest = deal(id, "state " + state, state);
                    arrivals.add(() -> deals.pipeInput(id, latest));
                }
                for (int m = 0; m < 5; m++) {
                    GenericRecord message = m % 2 == 0 ? received("m" + m, "text " + m) : sent("m" + m, "text " + m);
                    arrivals.add(() -> chat.pipeInput(id, message));
                    expected.put(id + "|m" + m, "text " + m + "/state 4");
                }
            }
            arrivals.addAll(List.copyOf(arrivals)); // Everything comes twice.
            Collections.shuffle(arrivals, new Random(seed));
            arrivals.forEach(Runnable::run);
        }
        assertEquals(expected, lastRows());
    }

    private static Set<String> sources(TopologyDescription description) {
        return description.subtopologies().iterator().next().nodes().stream()
                .filter(TopologyDescription.Source.class::isInstance)
                .flatMap(node -> ((TopologyDescription.Source) node).topicSet().stream())
                .collect(Collectors.toSet());
    }

    /** The last row of each deal and message, as {@code text/title}. */
    private Map<String, String> lastRows() {
        Map<String, String> last = new TreeMap<>();
        for (GenericRecord row : output.readValuesToList()) {
            String pair = row.get("deal_id") + "|" + row.get("message_id");
            last.put(pair, row.get("body_text") + "/" + row.get("deal_title"));
        }
        return last;
    }
}
