package dev.hookbridge.examples;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;
import org.apache.kafka.common.errors.SerializationException;
import org.apache.kafka.common.serialization.Serdes;

/**
 * Avro through a schema registry: a zero byte, the schema's id as four bytes, the record. Records are read with the
 * schema they were written with, and written under the subject {@code <topic>-value}.
 *
 * <p>It stands here because Maven Central does not have Confluent's serdes. With their repository
 * at hand, delete this file, depend on {@code io.confluent:kafka-streams-avro-serde} and use
 *
 * <pre>{@code
 * GenericAvroSerde avro = new GenericAvroSerde();
 * avro.configure(Map.of("schema.registry.url", registryUrl), false);
 * }</pre>
 *
 * which also knows authentication, TLS and retries. {@code value.subject.name.strategy} stays at its default: the chat
 * topic's {@code TopicRecordNameStrategy} concerns those who write to it, and a reader goes by the id alone.
 */
final class AvroSerde extends Serdes.WrapperSerde<GenericRecord> {

    AvroSerde(String registryUrl) {
        this(new Registry(registryUrl));
    }

    private AvroSerde(Registry registry) {
        super((topic, row) -> encode(registry, topic, row), (topic, bytes) -> decode(registry, bytes));
    }

    private static byte[] encode(Registry registry, String topic, GenericRecord row) {
        if (row == null) {
            return null;
        }
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        try {
            int id = registry.idOf(topic + "-value", row.getSchema());
            out.writeBytes(ByteBuffer.allocate(5).put((byte) 0).putInt(id).array());
            BinaryEncoder encoder = EncoderFactory.get().directBinaryEncoder(out, null);
            new GenericDatumWriter<GenericRecord>(row.getSchema()).write(row, encoder);
        } catch (IOException e) {
            throw new SerializationException("a record for " + topic + " cannot be written: " + e.getMessage(), e);
        }
        return out.toByteArray();
    }

    private static GenericRecord decode(Registry registry, byte[] bytes) {
        if (bytes == null) {
            return null;
        }
        if (bytes.length < 5 || bytes[0] != 0) {
            throw new SerializationException("not a record with the id of a schema in front");
        }
        try {
            Schema schema = registry.schemaOf(ByteBuffer.wrap(bytes, 1, 4).getInt());
            return new GenericDatumReader<GenericRecord>(schema)
                    .read(null, DecoderFactory.get().binaryDecoder(bytes, 5, bytes.length - 5, null));
        } catch (IOException e) {
            throw new SerializationException("a record cannot be read: " + e.getMessage(), e);
        }
    }

    /** Asks once for each schema: an id never changes its meaning. */
    private static final class Registry {
        private static final ObjectMapper JSON = new ObjectMapper();
        private static final String CONTENT_TYPE = "application/vnd.schemaregistry.v1+json";

        private final HttpClient http = HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(10)).build();
        private final Map<Integer, Schema> schemas = new ConcurrentHashMap<>();
        private final Map<String, Map<Schema, Integer>> ids = new ConcurrentHashMap<>();
        private final String url;

        Registry(String url) {
            this.url = url.replaceFirst("/+$", "");
        }

        Schema schemaOf(int id) {
            return schemas.computeIfAbsent(id, unknown -> {
                JsonNode answer = ask(request("/schemas/ids/" + id).GET());
                return new Schema.Parser().parse(answer.path("schema").asText());
            });
        }

        int idOf(String subject, Schema schema) {
            return ids.computeIfAbsent(subject, any -> new ConcurrentHashMap<>()).computeIfAbsent(schema, unknown -> {
                String body = JSON.createObjectNode().put("schema", schema.toString()).toString();
                String path = "/subjects/" + URLEncoder.encode(subject, StandardCharsets.UTF_8) + "/versions";
                return ask(request(path).POST(BodyPublishers.ofString(body))).path("id").asInt();
            });
        }

        private HttpRequest.Builder request(String path) {
            return HttpRequest.newBuilder(URI.create(url + path))
                    .timeout(Duration.ofSeconds(10))
                    .header("Accept", CONTENT_TYPE)
                    .header("Content-Type", CONTENT_TYPE);
        }

        private JsonNode ask(HttpRequest.Builder builder) {
            HttpRequest request = builder.build();
            String what = "the registry, asked " + request.method() + " " + request.uri() + ", ";
            try {
                HttpResponse<String> response = http.send(request, BodyHandlers.ofString());
                if (response.statusCode() != 200) {
                    throw new SerializationException(
                            what + "answered " + response.statusCode() + " " + response.body());
                }
                return JSON.readTree(response.body());
            } catch (IOException e) {
                throw new SerializationException(what + "failed: " + e, e);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new SerializationException(what + "was interrupted", e);
            }
        }
    }
}
