package dev.hookbridge.examples;

import java.nio.file.Path;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.streams.StreamsConfig;

/** What the environment says, with a default for each. */
record Settings(
        String bootstrapServers,
        String registryUrl,
        String prefix,
        String chatTopic,
        String dealTopic,
        String outputTopic,
        String applicationId,
        Path stateDir) {

    /** {@code name} is that of the join. */
    static Settings from(Map<String, String> env, String name) {
        String prefix = env.getOrDefault("TOPIC_PREFIX", "");
        String applicationId = env.getOrDefault("APPLICATION_ID", name);
        return new Settings(
                env.getOrDefault("BOOTSTRAP_SERVERS", "localhost:9092"),
                env.getOrDefault("REGISTRY_URL", "http://localhost:8081"),
                prefix,
                prefix + "wegly.chat-by-deal",
                prefix + "wegly.deal-latest",
                env.getOrDefault("OUTPUT_TOPIC", prefix + name),
                applicationId,
                env.containsKey("STATE_DIR") ? Path.of(env.get("STATE_DIR")) : defaultStateDir(env));
    }

    /** Not Kafka Streams' own default, the temporary directory: what is gone from it is all read from Kafka again. */
    private static Path defaultStateDir(Map<String, String> env) {
        String state = env.get("XDG_STATE_HOME");
        Path base = state != null ? Path.of(state) : Path.of(System.getProperty("user.home"), ".local", "state");
        return base.resolve("kafka-streams");
    }

    Properties streams() {
        Properties properties = new Properties();
        properties.put(StreamsConfig.APPLICATION_ID_CONFIG, applicationId);
        properties.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrapServers);
        properties.put(StreamsConfig.STATE_DIR_CONFIG, stateDir.toString());
        // A duplicate is told by the store and gets no row. Were a message in the store and its row lost (a crash
        // between the two), reading it again would pass for a duplicate: so both and the offsets are committed as one.
        properties.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        // A store whose name is generated loses its content when the topology changes.
        properties.put(StreamsConfig.ENSURE_EXPLICIT_INTERNAL_RESOURCE_NAMING_CONFIG, true);
        return properties;
    }
}
