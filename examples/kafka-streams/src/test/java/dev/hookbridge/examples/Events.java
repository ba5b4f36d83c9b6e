package dev.hookbridge.examples;

import org.apache.avro.LogicalTypes;
import org.apache.avro.Schema;
import org.apache.avro.SchemaBuilder;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericRecord;

/** Records as hookbridge writes them, with the fields that matter here and one that does not. */
final class Events {
    private static final Schema TIME = LogicalTypes.timestampMillis().addToSchema(Schema.create(Schema.Type.LONG));

    private static final Schema MESSAGE = SchemaBuilder.record("ChatMessagePayload").namespace("wegly").fields()
            .requiredString("id")
            .optionalBoolean("from_me")
            .optionalString("sent_via")
            .optionalString("body_text")
            .name("meta_timestamp").type().optional().type(TIME)
            .optionalBoolean("is_history")
            .endRecord();
    private static final Schema DEAL = SchemaBuilder.record("DealSnapshot").namespace("wegly").fields()
            .requiredString("id")
            .optionalString("title")
            .optionalLong("status")
            .optionalDouble("value")
            .name("updated_at").type().optional().type(TIME)
            .endRecord();

    private static final Schema EVENT = SchemaBuilder.record("Event").namespace("hookbridge").fields()
            .requiredString("id")
            .requiredString("type")
            .name("occurred_at").type().optional().type(TIME)
            .endRecord();

    private Events() {}

    static GenericRecord received(String id, String text) {
        return message("ChatMessageReceived", id, text, false);
    }

    static GenericRecord sent(String id, String text) {
        return message("ChatMessageSent", id, text, true);
    }

    static GenericRecord deal(String id, String title, Long updatedAt) {
        return event("DealLatest", "deal", snapshot(id, title, updatedAt));
    }

    /** As far as it matters here, a lead has what a deal has. */
    static GenericRecord lead(String id, String title, Long updatedAt) {
        return event("LeadUpdated", "lead", snapshot(id, title, updatedAt));
    }

    private static GenericRecord snapshot(String id, String title, Long updatedAt) {
        GenericRecord snapshot = new GenericData.Record(DEAL);
        snapshot.put("id", id);
        snapshot.put("title", title);
        snapshot.put("status", 1L);
        snapshot.put("value", 10.5);
        snapshot.put("updated_at", updatedAt);
        return snapshot;
    }

    /** An event of any type. */
    static GenericRecord happened(String id, String type) {
        GenericRecord event = new GenericData.Record(EVENT);
        event.put("id", id);
        event.put("type", type);
        event.put("occurred_at", 1_780_000_000_000L);
        return event("Happened", "event", event);
    }

    /** Of Whazing. */
    static GenericRecord whatsapp(String id, String text) {
        Schema schema = SchemaBuilder.record("MessageReceived").namespace("whazing").fields()
                .requiredString("message_id")
                .optionalString("message_body")
                .name("timestamp").type().optional().type(TIME)
                .requiredBoolean("from_me")
                .optionalString("extra")
                .endRecord();
        GenericRecord message = new GenericData.Record(schema);
        message.put("message_id", id);
        message.put("message_body", text);
        message.put("timestamp", 1_780_000_000_000L);
        message.put("from_me", false);
        return message;
    }

    private static GenericRecord message(String type, String id, String text, boolean fromMe) {
        GenericRecord message = new GenericData.Record(MESSAGE);
        message.put("id", id);
        message.put("from_me", fromMe);
        message.put("body_text", text);
        message.put("meta_timestamp", 1_780_000_000_000L);
        return event(type, "message", message);
    }

    private static GenericRecord event(String type, String field, GenericRecord body) {
        Schema schema = SchemaBuilder.record(type).namespace("wegly").fields()
                .name(field).type(body.getSchema()).noDefault()
                .optionalString("extra")
                .endRecord();
        GenericRecord event = new GenericData.Record(schema);
        event.put(field, body);
        return event;
    }
}
