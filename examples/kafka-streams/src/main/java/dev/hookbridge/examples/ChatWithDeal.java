package dev.hookbridge.examples;

import java.util.concurrent.atomic.LongAdder;
import org.apache.avro.generic.GenericRecord;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Named;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;

/**
 * The topology: two processors that share two stores.
 *
 * <p>Both topics have the deal's id as key and the same number of partitions, so a message and its deal meet in one
 * task. {@code processValues} cannot change a key, hence no repartition topic.
 *
 * <p>A message is an entry of its own, {@code deal|message}. Gathered in one list per deal, as for a join of two
 * tables, every message would write the whole list again, to disk and to the changelog: for a chat of 10,000 messages
 * that is 50 million copies of a message instead of 10,000, and before its end the list is larger than a record may be.
 *
 * <p>The stores are not versioned, though states come out of order: a versioned store refuses what is older than its
 * retention, and the only state of a deal may be years old.
 */
final class ChatWithDeal {
    static final String DEALS = "deals";
    static final String MESSAGES = "messages";

    private ChatWithDeal() {}

    static Topology topology(Settings settings, Serde<GenericRecord> avro, LongAdder written) {
        StreamsBuilder builder = new StreamsBuilder();
        builder.addStateStore(store(DEALS, avro));
        builder.addStateStore(store(MESSAGES, avro));

        KStream<String, GenericRecord> byMessage = builder
                .stream(settings.chatTopic(), Consumed.with(Serdes.String(), avro).withName("chat-topic"))
                .processValues(MessageProcessor::new, Named.as("message-processor"), DEALS, MESSAGES);
        KStream<String, GenericRecord> byDeal = builder
                .stream(settings.dealTopic(), Consumed.with(Serdes.String(), avro).withName("deal-topic"))
                .processValues(DealProcessor::new, Named.as("deal-processor"), DEALS, MESSAGES);

        byMessage.merge(byDeal, Named.as("rows"))
                .peek((key, row) -> written.increment(), Named.as("count"))
                .to(settings.outputTopic(), Produced.with(Serdes.String(), avro).withName("output-topic"));
        return builder.build();
    }

    private static StoreBuilder<KeyValueStore<String, GenericRecord>> store(String name, Serde<GenericRecord> avro) {
        return Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore(name), Serdes.String(), avro);
    }
}
