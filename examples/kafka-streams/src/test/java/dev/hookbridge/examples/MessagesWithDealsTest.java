package dev.hookbridge.examples;

import static dev.hookbridge.examples.Events.deal;
import static dev.hookbridge.examples.Events.whatsapp;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

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

class MessagesWithDealsTest {
    private FakeRegistry registry;
    private TopologyTestDriver driver;
    private AvroSerde avro;
    private TestOutputTopic<String, GenericRecord> output;

    @BeforeEach
    void start() throws Exception {
        registry = new FakeRegistry();
        Settings settings = Settings.from(Map.of("STATE_DIR", "target/state"), "messages-with-deals");
        avro = new AvroSerde(registry.url());
        driver = new TopologyTestDriver(
                ManyToMany.topology(settings, avro, new LongAdder(), MessagesWithDeals.WAYS, new MessagesWithDeals()),
                settings.streams(),
                Instant.parse("2026-06-02T12:00:00Z"));
        output = driver.createOutputTopic("messages-with-deals", new StringDeserializer(), avro.deserializer());
    }

    @AfterEach
    void stop() {
        driver.close();
        registry.close();
    }

    @Test
    void a_number_may_be_that_of_several_deals_and_each_has_its_newest_state() {
        input("whazing.message-by-phone").pipeInput("5511987654321", whatsapp("m1", "first"));
        input("wegly.deal-by-phone").pipeInput("5511987654321", deal("d1", "new", 2L));
        input("wegly.deal-by-phone").pipeInput("5511987654321", deal("d1", "old", 1L));
        input("wegly.deal-by-phone").pipeInput("5511987654321", deal("d1", "without", null));
        input("wegly.deal-by-phone").pipeInput("5511987654321", deal("d2", "other", 1L));
        input("whazing.message-by-phone").pipeInput("5511987654321", whatsapp("m2", "second"));
        input("whazing.message-by-phone").pipeInput("551198765432", whatsapp("m3", "another number"));

        assertEquals(Map.of("number|d1|m1", "first/new", "number|d2|m1", "first/other",
                "number|d1|m2", "second/new", "number|d2|m2", "second/other"), lastRows());
    }

    @Test
    void the_ways_do_not_mix() {
        input("wegly.deal-latest").pipeInput("d1", deal("d1", "title", 1L));
        input("whazing.message-by-phone").pipeInput("d1", whatsapp("m", "by number"));
        assertEquals(Map.of(), lastRows());

        input("whazing.message-by-reference").pipeInput("d1", whatsapp("m", "by reference"));
        input("whazing.message-by-reference").pipeInput("d1", whatsapp("m", "by reference"));
        assertEquals(Map.of("reference|d1|m", "by reference/title"), lastRows());
    }

    @Test
    void a_tombstone_is_passed_on_once() {
        input("wegly.deal-latest").pipeInput("d1", deal("d1", "title", 1L));
        input("whazing.message-by-reference").pipeInput("d1", whatsapp("m", "text"));
        assertEquals(1, output.getQueueSize());
        output.readValue();
        input("wegly.deal-latest").pipeInput("d1", (GenericRecord) null);
        input("wegly.deal-latest").pipeInput("d1", (GenericRecord) null);
        assertEquals(1, output.getQueueSize());
        assertNull(output.readValue());
    }

    private TestInputTopic<String, GenericRecord> input(String topic) {
        return driver.createInputTopic(topic, new StringSerializer(), avro.serializer());
    }

    private Map<String, String> lastRows() {
        Map<String, String> rows = new TreeMap<>();
        for (GenericRecord row : output.readValuesToList()) {
            rows.put(row.get("met_by") + "|" + row.get("deal_id") + "|" + row.get("message_id"),
                    row.get("body_text") + "/" + row.get("deal_title"));
        }
        return rows;
    }
}
