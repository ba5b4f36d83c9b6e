package dev.hookbridge.examples;

import dev.hookbridge.examples.ManyToMany.Way;
import java.util.List;
import java.util.Objects;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericRecord;

/** The second join: Whazing's messages with Wegly's deals, by reference and by number. */
final class MessagesWithDeals implements ManyToMany.Rows {
    static final List<Way> WAYS = List.of(
            new Way("reference", List.of("whazing.message-by-reference"), "wegly.deal-latest", "deal"),
            new Way("number", List.of("whazing.message-by-phone"), "wegly.deal-by-phone", "deal"));

    private static final Schema SCHEMA = Row.load("/message-with-deal.avsc");

    @Override
    public Schema schema() {
        return SCHEMA;
    }

    @Override
    public void fill(GenericRecord half, Way way, GenericRecord event) {
        half.put("met_by", way.name());
        half.put("message_id", event.get("message_id"));
        half.put("from_me", event.get("from_me"));
        half.put("body_text", event.get("message_body"));
        half.put("sent_at", event.get("timestamp"));
    }

    @Override
    public String id(GenericRecord half) {
        return half.get("message_id").toString();
    }

    @Override
    public void complete(GenericRecord row, GenericRecord deal) {
        row.put("deal_id", Objects.toString(deal.get("id")));
        stateFields().forEach(field -> row.put("deal_" + field, deal.get(field)));
    }

    @Override
    public List<String> stateFields() {
        return List.of("title", "status", "value");
    }
}
