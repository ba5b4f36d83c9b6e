package dev.hookbridge.examples;

import org.apache.avro.generic.GenericRecord;
import org.apache.kafka.streams.processor.api.ContextualFixedKeyProcessor;
import org.apache.kafka.streams.processor.api.FixedKeyProcessorContext;
import org.apache.kafka.streams.processor.api.FixedKeyRecord;
import org.apache.kafka.streams.state.KeyValueStore;

/** Keeps messages, and writes the row of one whose deal is known. The others wait for {@link DealProcessor}. */
final class MessageProcessor extends ContextualFixedKeyProcessor<String, GenericRecord, GenericRecord> {
    private KeyValueStore<String, GenericRecord> deals;
    private KeyValueStore<String, GenericRecord> messages;

    @Override
    public void init(FixedKeyProcessorContext<String, GenericRecord> context) {
        super.init(context);
        deals = context.getStateStore(ChatWithDeal.DEALS);
        messages = context.getStateStore(ChatWithDeal.MESSAGES);
    }

    @Override
    public void process(FixedKeyRecord<String, GenericRecord> record) {
        if (record.value() == null) {
            return; // Nobody writes tombstones here, but one must not stop the join.
        }
        // Only what a row needs is kept: a message as it came is several times larger.
        GenericRecord half = Row.ofMessage(record.key(), record.value());
        String key = prefix(record.key()) + half.get("message_id");
        if (half.equals(messages.get(key))) {
            return; // A duplicate: delivery is at least once.
        }
        messages.put(key, half);
        GenericRecord deal = deals.get(record.key());
        if (deal != null) {
            // The time of writing, as in DealProcessor: rows of one topic should age alike.
            context().forward(record.withValue(Row.join(half, deal)).withTimestamp(context().currentSystemTimeMs()));
        }
    }

    /** What the keys of a deal's messages begin with. */
    static String prefix(String dealId) {
        return dealId + "|";
    }
}
