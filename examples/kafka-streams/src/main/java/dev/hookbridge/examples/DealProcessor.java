package dev.hookbridge.examples;

import org.apache.avro.generic.GenericRecord;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.streams.processor.api.ContextualFixedKeyProcessor;
import org.apache.kafka.streams.processor.api.FixedKeyProcessorContext;
import org.apache.kafka.streams.processor.api.FixedKeyRecord;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.KeyValueStore;

/** Keeps the newest state of each deal, and writes the rows of all its messages when that changes. */
final class DealProcessor extends ContextualFixedKeyProcessor<String, GenericRecord, GenericRecord> {
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
        GenericRecord kept = deals.get(record.key());
        GenericRecord latest = record.value();
        if (latest == null) {
            forget(record, kept);
        } else if (kept == null || updatedAt(latest) >= updatedAt(kept)) {
            deals.put(record.key(), latest);
            if (kept == null || !Row.sameDeal(kept, latest)) {
                writeRows(record, latest);
            }
        }
    }

    private static long updatedAt(GenericRecord latest) {
        return Row.updatedAt((GenericRecord) latest.get("deal"));
    }

    private void writeRows(FixedKeyRecord<String, GenericRecord> record, GenericRecord latest) {
        // Not the deal's own time, which may be years ago: the output's retention would remove the row at once.
        long now = context().currentSystemTimeMs();
        String prefix = MessageProcessor.prefix(record.key());
        try (KeyValueIterator<String, GenericRecord> all = messages.prefixScan(prefix, new StringSerializer())) {
            all.forEachRemaining(message ->
                    context().forward(record.withValue(Row.join(message.value, latest)).withTimestamp(now)));
        }
    }

    /** No row of the deal is right any more, which a null value tells the readers. Its messages wait for it again. */
    private void forget(FixedKeyRecord<String, GenericRecord> tombstone, GenericRecord kept) {
        if (kept != null) {
            deals.delete(tombstone.key());
            context().forward(tombstone.withTimestamp(context().currentSystemTimeMs()));
        }
    }
}
