package dev.hookbridge.examples;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AdminClientConfig;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;

/** What has to be true of the topics before a start. */
final class Topics {
    private Topics() {}

    /**
     * Checks the inputs and creates the output.
     *
     * <p>Kafka Streams compares the numbers of partitions for its own joins only. Processors that share a store would
     * run with different ones, and a message would look for its deal in the wrong task.
     *
     * @throws IllegalStateException if they cannot be joined; its message says why
     */
    static void prepare(Settings settings, List<String> inputs) throws InterruptedException {
        Map<String, Object> config = Map.of(
                AdminClientConfig.BOOTSTRAP_SERVERS_CONFIG, settings.bootstrapServers(),
                AdminClientConfig.REQUEST_TIMEOUT_MS_CONFIG, 10_000,
                AdminClientConfig.DEFAULT_API_TIMEOUT_MS_CONFIG, 10_000);
        try (Admin admin = Admin.create(config)) {
            int first = inputPartitions(admin, inputs.get(0));
            for (String input : inputs) {
                int count = inputPartitions(admin, input);
                if (count != first) {
                    throw new IllegalStateException(inputs.get(0) + " has " + first + " partitions and "
                            + input + " " + count + ": a join by key needs equal numbers.");
                }
            }
            if (partitions(admin, settings.outputTopic()).isEmpty()) {
                create(admin, settings.outputTopic(), first);
            }
        } catch (ExecutionException e) {
            throw new IllegalStateException(
                    "Kafka at " + settings.bootstrapServers() + " failed: " + e.getCause().getMessage(), e);
        }
    }

    private static int inputPartitions(Admin admin, String topic) throws ExecutionException, InterruptedException {
        return partitions(admin, topic).orElseThrow(() -> new IllegalStateException(
                "There is no topic " + topic + ": is hookbridge's topic_prefix another than TOPIC_PREFIX,"
                        + " or is the topic off in its join_topics?"));
    }

    private static Optional<Integer> partitions(Admin admin, String topic)
            throws ExecutionException, InterruptedException {
        try {
            TopicDescription found = admin.describeTopics(Set.of(topic)).topicNameValues().get(topic).get();
            return Optional.of(found.partitions().size());
        } catch (ExecutionException e) {
            if (e.getCause() instanceof UnknownTopicOrPartitionException) {
                return Optional.empty();
            }
            throw e;
        }
    }

    private static void create(Admin admin, String topic, int partitions)
            throws ExecutionException, InterruptedException {
        try {
            admin.createTopics(Set.of(new NewTopic(topic, Optional.of(partitions), Optional.empty()))).all().get();
        } catch (ExecutionException e) {
            // Another instance that starts at the same time was faster.
            if (!(e.getCause() instanceof TopicExistsException)) {
                throw e;
            }
        }
    }
}
