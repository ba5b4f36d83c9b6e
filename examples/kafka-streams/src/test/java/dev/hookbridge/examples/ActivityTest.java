package dev.hookbridge.examples;

import static dev.hookbridge.examples.Events.deal;
import static dev.hookbridge.examples.Events.happened;
import static dev.hookbridge.examples.Events.lead;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.time.Instant;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.atomic.LongAdder;
import org.apache.avro.generic.GenericRecord;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.streams.TestInputTopic;
import org.apache.kafka.streams.TestOutputTopic;
import org.apache.kafka.streams.TopologyTestDriver;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class ActivityTest {
    private FakeRegistry registry;
    private TopologyTestDriver driver;
    private AvroSerde avro;
    private TestOutputTopic<String, GenericRecord> output;

    @BeforeEach
    void start() throws Exception {
        registry = new FakeRegistry();
        Settings settings = Settings.from(Map.of("STATE_DIR", "target/state"), "activity");
        avro = new AvroSerde(registry.url());
        driver = new TopologyTestDriver(
                ManyToMany.topology(settings, avro, new LongAdder(), Activity.WAYS, new Activity()),
                settings.streams(),
                Instant.parse("2026-06-02T12:00:00Z"));
        output = driver.createOutputTopic("activity", new StringDeserializer(), avro.deserializer());
    }

    @AfterEach
    void stop() {
        driver.close();
        registry.close();
    }

    @Test
    void events_of_all_topics_meet_their_deal_before_it_comes_and_after() {
        input("wegly.contract-by-deal").pipeInput("d1", happened("e1", "contract.created"));
        input("wegly.deal-latest").pipeInput("d1", deal("d1", "title", 1L));
        input("whazing.ticket-by-reference").pipeInput("d1", happened("e2", "ticket.opened"));
        input("whazing.ticket-by-reference").pipeInput("d1", happened("e2", "ticket.opened"));
        input("wegly.deal-latest").pipeInput("d1", deal("d1", "newer", 2L));

        assertEquals(Map.of("deal|d1|e1", "contract.created/newer", "deal|d1|e2", "ticket.opened/newer"), lastRows());
    }

    @Test
    void a_number_meets_leads_alone() {
        input("whazing.message-by-phone").pipeInput("55", happened("e1", "message.received"));
        input("wegly.lead-by-phone").pipeInput("55", lead("l1", "one", 1L));
        input("wegly.lead-by-phone").pipeInput("55", lead("l2", "other", 1L));
        input("wegly.deal-latest").pipeInput("55", deal("d1", "deal", 1L));

        assertEquals(Map.of("lead|l1|e1", "message.received/one", "lead|l2|e1", "message.received/other"), lastRows());
    }

    private TestInputTopic<String, GenericRecord> input(String topic) {
        return driver.createInputTopic(topic, new StringSerializer(), avro.serializer());
    }

    private Map<String, String> lastRows() {
        Map<String, String> rows = new TreeMap<>();
        for (GenericRecord row : output.readValuesToList()) {
            rows.put(row.get("about") + "|" + row.get("id") + "|" + row.get("event_id"),
                    row.get("event_type") + "/" + row.get("title"));
        }
        return rows;
    }
}
