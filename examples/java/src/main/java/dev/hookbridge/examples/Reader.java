package dev.hookbridge.examples;

import io.apicurio.registry.serde.avro.AvroKafkaDeserializer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.specific.SpecificRecord;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.StringDeserializer;
import wegly.DealStageChanged;
import wegly.DealWon;

/** Prints what happened to deals: {@code java -jar reader.jar BROKERS REGISTRY TOPIC generic|specific}. */
public final class Reader {
    /** The event types that this program has a use for. */
    private static final List<String> KNOWN = List.of("wegly.deal.won", "wegly.deal.stage_changed");
    private static final int QUIET_POLLS = 10;

    private Reader() {}

    public static void main(String[] args) {
        boolean specific = args[3].equals("specific");
        Map<String, Object> consuming = Map.of(
                "bootstrap.servers", args[0],
                "group.id", "reader-" + System.nanoTime(),
                "auto.offset.reset", "earliest");
        Map<String, Object> decoding = Map.of(
                "apicurio.registry.url", args[1],
                "apicurio.registry.use-specific-avro-reader", specific);
        // The consumer hands out bytes, so that the type is looked at before they are decoded: a specific reader throws
        // an exception over a type that it has no class for, and the next version may bring one.
        try (var consumer = new KafkaConsumer<>(consuming, new StringDeserializer(), new ByteArrayDeserializer());
                var decoder = new AvroKafkaDeserializer<Object>()) {
            decoder.configure(decoding, false);
            consumer.subscribe(List.of(args[2]));
            for (int quiet = 0; quiet < QUIET_POLLS; quiet++) {
                for (var record : consumer.poll(Duration.ofSeconds(1))) {
                    quiet = 0;
                    show(record, decoder);
                }
            }
        }
    }

    private static void show(ConsumerRecord<String, byte[]> record, AvroKafkaDeserializer<Object> decoder) {
        // A tombstone has neither a value nor headers.
        if (record.value() == null || !KNOWN.contains(type(record))) {
            return;
        }
        Object value = decoder.deserialize(record.topic(), record.headers(), record.value());
        System.out.println(record.key() + " " + type(record) + " " + describe(value));
    }

    private static String type(ConsumerRecord<String, byte[]> record) {
        var header = record.headers().lastHeader("ce_type");
        return header == null ? "" : new String(header.value(), StandardCharsets.UTF_8);
    }

    private static String describe(Object value) {
        if (value instanceof DealWon won) {
            return "specific " + won.getEvent().getReceivedAt() + " " + won.getDeal().getId();
        }
        if (value instanceof DealStageChanged changed) {
            return "specific " + changed.getEvent().getReceivedAt() + " " + changed.getDeal().getId();
        }
        if (value instanceof SpecificRecord) {
            throw new IllegalStateException("no use for " + value.getClass());
        }
        // Generic: instants are milliseconds, texts are Utf8.
        GenericRecord record = (GenericRecord) value;
        GenericRecord event = (GenericRecord) record.get("event");
        GenericRecord deal = (GenericRecord) record.get("deal");
        return "generic " + event.get("received_at") + " " + deal.get("id");
    }
}
