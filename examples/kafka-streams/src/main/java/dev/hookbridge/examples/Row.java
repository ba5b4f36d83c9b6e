package dev.hookbridge.examples;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.List;
import java.util.Objects;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericRecord;

/** The rows that are written, and how they are made: the place to change for other fields. */
final class Row {
    static final Schema SCHEMA = load("/chat-with-deal.avsc");

    /** Fields of the deal that a row has, there with {@code deal_} in front. */
    private static final List<String> DEAL_FIELDS = List.of("title", "status", "value", "updated_at");

    private Row() {}

    /** The half of a row that a message gives, from {@code ChatMessageReceived} or {@code ChatMessageSent}. */
    static GenericRecord ofMessage(String dealId, GenericRecord event) {
        GenericRecord message = (GenericRecord) event.get("message");
        GenericRecord half = new GenericData.Record(SCHEMA);
        half.put("deal_id", dealId);
        half.put("message_id", message.get("id"));
        half.put("from_me", message.get("from_me"));
        half.put("sent_via", message.get("sent_via"));
        half.put("body_text", message.get("body_text"));
        half.put("sent_at", message.get("meta_timestamp"));
        half.put("is_history", message.get("is_history"));
        return half;
    }

    /** The whole row: a message's half with the deal of a {@code DealLatest}. */
    static GenericRecord join(GenericRecord half, GenericRecord latest) {
        GenericRecord row = new GenericData.Record(SCHEMA);
        for (Schema.Field field : SCHEMA.getFields()) {
            // A half from the store may be older than the schema of today.
            row.put(field.pos(), half.hasField(field.name()) ? half.get(field.name()) : null);
        }
        GenericRecord deal = (GenericRecord) latest.get("deal");
        DEAL_FIELDS.forEach(field -> row.put("deal_" + field, deal.get(field)));
        return row;
    }

    /** Whether two {@code DealLatest} make the same rows. */
    static boolean sameDeal(GenericRecord one, GenericRecord other) {
        GenericRecord a = (GenericRecord) one.get("deal");
        GenericRecord b = (GenericRecord) other.get("deal");
        return DEAL_FIELDS.stream().allMatch(field -> Objects.equals(a.get(field), b.get(field)));
    }

    /** When a deal or lead last changed. A state that does not say it is older than any that does. */
    static long updatedAt(GenericRecord state) {
        Object updatedAt = state.get("updated_at");
        return updatedAt == null ? Long.MIN_VALUE : (long) updatedAt;
    }

    static Schema load(String resource) {
        try (InputStream in = Row.class.getResourceAsStream(resource)) {
            return new Schema.Parser().parse(in);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
