package dev.hookbridge.examples;

import java.util.List;
import java.util.Objects;
import java.util.concurrent.atomic.LongAdder;
import java.util.stream.Stream;
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
 * A topology of several joins, each of topics with the same keys, where a key may have many events and many entities.
 *
 * <p>Each way is joined like the topics of {@link ChatWithDeal}: two processors that share two stores. A number may be that of
 * several deals, so entities are entries of their own, too: {@code key|id} in both stores.
 */
final class ManyToMany {
    /** How records meet: the name, the topics of events, that of states, and the field that such a record has its state in. */
    record Way(String name, List<String> events, String states, String entity) {}

    /** What the rows are. */
    interface Rows {
        /** Its fields are those of a row. */
        Schema schema();

        /** The half of a row that an event gives. */
        void fill(GenericRecord half, Way way, GenericRecord event);

        /** What tells one event of a key from another. */
        String id(GenericRecord half);

        /** The rest of a row: what the state gives. */
        void complete(GenericRecord row, GenericRecord state);

        /** The fields of a state that make a row another one. */
        List<String> stateFields();
    }

    private ManyToMany() {}

    static List<String> inputs(Settings settings, List<Way> ways) {
        return ways.stream()
                .flatMap(way -> Stream.concat(way.events.stream(), Stream.of(way.states)))
                .map(topic -> settings.prefix() + topic)
                .toList();
    }

    static Topology topology(Settings settings, Serde<GenericRecord> avro, LongAdder written, List<Way> ways, Rows rows) {
        StreamsBuilder builder = new StreamsBuilder();
        for (Way way : ways) {
            String[] stores = {"states-by-" + way.name, "events-by-" + way.name};
            for (String name : stores) {
                builder.addStateStore(store(name, avro));
            }
            List<String> topics = way.events.stream().map(topic -> settings.prefix() + topic).toList();
            KStream<String, GenericRecord> byEvent = builder
                    .stream(topics, Consumed.with(Serdes.String(), avro).withName("event-topics-" + way.name))
                    .processValues(() -> new Events(way, rows), Named.as("events-" + way.name), stores);
            KStream<String, GenericRecord> byState = builder
                    .stream(settings.prefix() + way.states, Consumed.with(Serdes.String(), avro).withName("state-topic-" + way.name))
                    .processValues(() -> new States(way, rows), Named.as("states-" + way.name), stores);
            byEvent.merge(byState, Named.as("rows-" + way.name))
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
        final Rows rows;
        KeyValueStore<String, GenericRecord> states;
        KeyValueStore<String, GenericRecord> events;

        Side(Way way, Rows rows) {
            this.way = way;
            this.rows = rows;
        }

        @Override
        public void init(FixedKeyProcessorContext<String, GenericRecord> context) {
            super.init(context);
            states = context.getStateStore("states-by-" + way.name);
            events = context.getStateStore("events-by-" + way.name);
        }

        /** Joins one half with all of the other store that have its key. */
        void join(FixedKeyRecord<String, GenericRecord> record, KeyValueStore<String, GenericRecord> others, GenericRecord half) {
            try (KeyValueIterator<String, GenericRecord> all = others.prefixScan(record.key() + "|", new StringSerializer())) {
                all.forEachRemaining(other -> {
                    GenericRecord row = others == states ? row(half, other.value) : row(other.value, half);
                    // Rows age by the time of writing: see DealProcessor.
                    context().forward(record.withValue(row).withTimestamp(context().currentSystemTimeMs()));
                });
            }
        }

        private GenericRecord row(GenericRecord half, GenericRecord latest) {
            GenericRecord row = new GenericData.Record(rows.schema());
            for (Schema.Field field : rows.schema().getFields()) {
                // A half from the store may be older than the schema of today.
                row.put(field.pos(), half.hasField(field.name()) ? half.get(field.name()) : null);
            }
            rows.complete(row, state(latest));
            return row;
        }

        GenericRecord state(GenericRecord latest) {
            return (GenericRecord) latest.get(way.entity);
        }
    }

    /** Keeps events, and writes their rows with the states that are known. */
    private static final class Events extends Side {
        Events(Way way, Rows rows) {
            super(way, rows);
        }

        @Override
        public void process(FixedKeyRecord<String, GenericRecord> record) {
            if (record.value() == null) {
                return;
            }
            GenericRecord half = new GenericData.Record(rows.schema());
            rows.fill(half, way, record.value());
            String key = record.key() + "|" + rows.id(half);
            if (!half.equals(events.get(key))) { // else a duplicate: delivery is at least once
                events.put(key, half);
                join(record, states, half);
            }
        }
    }

    /** Keeps the newest state of each entity under each key, and writes the rows of all events when that changes. */
    private static final class States extends Side {
        States(Way way, Rows rows) {
            super(way, rows);
        }

        @Override
        public void process(FixedKeyRecord<String, GenericRecord> record) {
            if (record.value() == null) {
                forget(record);
                return;
            }
            GenericRecord state = state(record.value());
            String key = record.key() + "|" + state.get("id");
            GenericRecord kept = states.get(key);
            if (kept == null || Row.updatedAt(state) >= Row.updatedAt(state(kept))) {
                states.put(key, record.value());
                if (kept == null || !same(state, state(kept))) {
                    join(record, events, record.value());
                }
            }
        }

        private boolean same(GenericRecord one, GenericRecord other) {
            return rows.stateFields().stream().allMatch(field -> Objects.equals(one.get(field), other.get(field)));
        }

        /** A tombstone: a null row tells the readers that no row of this key is right any more. */
        private void forget(FixedKeyRecord<String, GenericRecord> tombstone) {
            String key = tombstone.key() + "|" + tombstone.key(); // tombstones are in latest topics, whose key is the entity's id
            if (states.delete(key) != null) {
                context().forward(tombstone.withTimestamp(context().currentSystemTimeMs()));
            }
        }
    }
}
