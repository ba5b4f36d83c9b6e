package dev.hookbridge.examples;

import java.util.List;
import java.util.Objects;
import java.util.concurrent.atomic.LongAdder;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericRecord;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Named;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.processor.api.ContextualFixedKeyProcessor;
import org.apache.kafka.streams.processor.api.FixedKeyProcessorContext;
import org.apache.kafka.streams.processor.api.FixedKeyRecord;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;

/**
 * The second topology: Whazing's messages with Wegly's deals, by reference and by number.
 *
 * <p>Each way is a pair of topics with the same keys, joined like those of {@link ChatWithDeal}: two processors that share two
 * stores. A key may have several deals here, since a number may be that of several, so deals are entries of their own, too:
 * {@code key|id} in both stores.
 */
final class MessagesWithDeals {
    static final Schema SCHEMA = Row.load("/message-with-deal.avsc");

    /** How records meet: the name, the topic of messages, that of deals. */
    record Way(String name, String messages, String deals) {}

    static final List<Way> WAYS = List.of(
            new Way("reference", "whazing.message-by-reference", "wegly.deal-latest"),
            new Way("number", "whazing.message-by-phone", "wegly.deal-by-phone"));

    private MessagesWithDeals() {}

    static List<String> inputs(Settings settings) {
        return WAYS.stream()
                .flatMap(way -> List.of(way.messages, way.deals).stream())
                .map(topic -> settings.prefix() + topic)
                .toList();
    }

    static Topology topology(Settings settings, Serde<GenericRecord> avro, LongAdder written) {
        StreamsBuilder builder = new StreamsBuilder();
        for (Way way : WAYS) {
            String[] stores = {"deals-by-" + way.name, "messages-by-" + way.name};
            for (String name : stores) {
                builder.addStateStore(store(name, avro));
            }
            KStream<String, GenericRecord> byMessage = builder
                    .stream(settings.prefix() + way.messages, Consumed.with(Serdes.String(), avro).withName(way.messages))
                    .processValues(() -> new Messages(way), Named.as("messages-" + way.name), stores);
            KStream<String, GenericRecord> byDeal = builder
                    .stream(settings.prefix() + way.deals, Consumed.with(Serdes.String(), avro).withName(way.deals))
                    .processValues(() -> new Deals(way), Named.as("deals-" + way.name), stores);
            byMessage.merge(byDeal, Named.as("rows-" + way.name))
                    .peek((key, row) -> written.increment(), Named.as("count-" + way.name))
                    .to(settings.outputTopic(), Produced.with(Serdes.String(), avro).withName("output-" + way.name));
        }
        return builder.build();
    }

    private static StoreBuilder<KeyValueStore<String, GenericRecord>> store(String name, Serde<GenericRecord> avro) {
        return Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore(name), Serdes.String(), avro);
    }

    /** What both processors of a way have. */
    private abstract static class Side extends ContextualFixedKeyProcessor<String, GenericRecord, GenericRecord> {
        final Way way;
        KeyValueStore<String, GenericRecord> deals;
        KeyValueStore<String, GenericRecord> messages;

        Side(Way way) {
            this.way = way;
        }

        @Override
        public void init(FixedKeyProcessorContext<String, GenericRecord> context) {
            super.init(context);
            deals = context.getStateStore("deals-by-" + way.name);
            messages = context.getStateStore("messages-by-" + way.name);
        }

        /** Joins one half with all of the other store that have its key. */
        void join(FixedKeyRecord<String, GenericRecord> record, KeyValueStore<String, GenericRecord> others, GenericRecord half) {
            try (KeyValueIterator<String, GenericRecord> all = others.prefixScan(record.key() + "|", new StringSerializer())) {
                all.forEachRemaining(other -> {
                    GenericRecord row = others == deals ? row(half, other.value) : row(other.value, half);
                    // Rows age by the time of writing: see DealProcessor.
                    context().forward(record.withValue(row).withTimestamp(context().currentSystemTimeMs()));
                });
            }
        }
    }

    /** Keeps messages, and writes their rows with the deals that are known. */
    private static final class Messages extends Side {
        Messages(Way way) {
            super(way);
        }

        @Override
        public void process(FixedKeyRecord<String, GenericRecord> record) {
            GenericRecord event = record.value();
            if (event == null) {
                return;
            }
            GenericRecord half = new GenericData.Record(SCHEMA);
            half.put("met_by", way.name);
            half.put("message_id", event.get("message_id"));
            half.put("from_me", event.get("from_me"));
            half.put("body_text", event.get("message_body"));
            half.put("sent_at", event.get("timestamp"));
            String key = record.key() + "|" + half.get("message_id");
            if (!half.equals(messages.get(key))) { // else a duplicate: delivery is at least once
                messages.put(key, half);
                join(record, deals, half);
            }
        }
    }

    /** Keeps the newest state of each deal under each key, and writes the rows of all messages when that changes. */
    private static final class Deals extends Side {
        Deals(Way way) {
            super(way);
        }

        @Override
        public void process(FixedKeyRecord<String, GenericRecord> record) {
            if (record.value() == null) {
                forget(record);
                return;
            }
            String key = record.key() + "|" + ((GenericRecord) record.value().get("deal")).get("id");
            GenericRecord kept = deals.get(key);
            if (kept == null || DealProcessor.updatedAt(record.value()) >= DealProcessor.updatedAt(kept)) {
                deals.put(key, record.value());
                if (kept == null || !Row.sameDeal(kept, record.value())) {
                    join(record, messages, record.value());
                }
            }
        }

        /** A tombstone: a null row tells the readers that no row of this key is right any more. */
        private void forget(FixedKeyRecord<String, GenericRecord> tombstone) {
            String key = tombstone.key() + "|" + tombstone.key(); // tombstones are in deal-latest, whose key is the deal's id
            if (deals.delete(key) != null) {
                context().forward(tombstone.withTimestamp(context().currentSystemTimeMs()));
            }
        }
    }

    private static GenericRecord row(GenericRecord message, GenericRecord latest) {
        GenericRecord row = new GenericData.Record(SCHEMA);
        for (Schema.Field field : SCHEMA.getFields()) {
            row.put(field.pos(), message.hasField(field.name()) ? message.get(field.name()) : null);
        }
        GenericRecord deal = (GenericRecord) latest.get("deal");
        row.put("deal_id", Objects.toString(deal.get("id")));
        List.of("title", "status", "value").forEach(field -> row.put("deal_" + field, deal.get(field)));
        return row;
    }
}
