package dev.hookbridge.examples;

import dev.hookbridge.examples.ManyToMany.Way;
import java.util.List;
import java.util.Objects;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericRecord;

/** The third join: what happened around each deal, whatever the vendor, and to each lead's numbers. */
final class Activity implements ManyToMany.Rows {
    static final List<Way> WAYS = List.of(
            new Way("deal", List.of("wegly.chat-by-deal", "wegly.contract-by-deal", "wegly.delivery-by-deal",
                    "wegly.task-by-deal", "wegly.satisfaction-by-deal", "whazing.message-by-reference",
                    "whazing.ticket-by-reference"), "wegly.deal-latest", "deal"),
            new Way("lead", List.of("whazing.message-by-phone"), "wegly.lead-by-phone", "lead"));

    private static final Schema SCHEMA = Row.load("/activity.avsc");

    @Override
    public Schema schema() {
        return SCHEMA;
    }

    @Override
    public void fill(GenericRecord half, Way way, GenericRecord record) {
        GenericRecord event = (GenericRecord) record.get("event");
        half.put("about", way.name());
        half.put("event_id", Objects.toString(event.get("id")));
        half.put("event_type", event.get("type"));
        half.put("occurred_at", event.get("occurred_at"));
    }

    @Override
    public String id(GenericRecord half) {
        return half.get("event_id").toString();
    }

    @Override
    public void complete(GenericRecord row, GenericRecord state) {
        row.put("id", Objects.toString(state.get("id")));
        stateFields().forEach(field -> row.put(field, state.get(field)));
    }

    @Override
    public List<String> stateFields() {
        return List.of("title", "status", "updated_at");
    }
}
