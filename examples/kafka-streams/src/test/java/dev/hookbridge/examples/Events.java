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

    private Events() {}

    static GenericRecord received(String id, String text) {
        return message("ChatMessageReceived", id, text, false);
    }

    static GenericRecord sent(String id, String text) {
        return message("ChatMessageSent", id, text, true);
    }

    static GenericRecord deal(String id, String title, Long updatedAt) {
        GenericRecord deal = new GenericData.Record(DEAL);
        deal.put("id", id);
        deal.put("title", title);
        deal.put("status", 1L);
        deal.put("value", 10.5);
        deal.put("updated_at", updatedAt);
        return event("DealLatest", "deal", deal);
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
