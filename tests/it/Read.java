import java.time.Duration;
import java.util.List;
import java.util.Properties;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.StringDeserializer;

/** Reads a topic with Kafka's own client, in a group: the key of each record, one a line, until COUNT have come. */
public class Read {
    public static void main(String[] args) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", args[0]);
        settings.put("group.id", "java");
        settings.put("auto.offset.reset", "earliest");
        int missing = Integer.parseInt(args[2]);
        long end = System.nanoTime() + Duration.ofSeconds(60).toNanos();
        try (var consumer = new KafkaConsumer<>(settings, new StringDeserializer(), new ByteArrayDeserializer())) {
            consumer.subscribe(List.of(args[1]));
            while (missing > 0 && System.nanoTime() < end) {
                for (var record : consumer.poll(Duration.ofMillis(500))) {
                    System.out.println(record.key());
                    missing--;
                }
            }
            consumer.commitSync();
        }
    }
}
