package dev.hookbridge.examples;

import dev.hookbridge.examples.ManyToMany.Way;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.LongAdder;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KafkaStreams.State;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;

/**
 * Checks the topics, runs a topology until SIGTERM or Ctrl-C, and says how many rows were written: {@link ChatWithDeal}, or with
 * an argument {@link MessagesWithDeals} ({@code messages-with-deals}) or {@link Activity} ({@code activity}).
 */
public final class Main {
    private Main() {}

    public static void main(String[] args) throws InterruptedException {
        String name = args.length > 0 ? args[0] : "chat-with-deal";
        Settings settings = Settings.from(System.getenv(), name);
        List<Way> ways = switch (name) {
            case "messages-with-deals" -> MessagesWithDeals.WAYS;
            case "activity" -> Activity.WAYS;
            case "chat-with-deal" -> List.of();
            default -> throw new IllegalArgumentException("there is no join " + name);
        };
        List<String> inputs = ways.isEmpty()
                ? List.of(settings.chatTopic(), settings.dealTopic())
                : ManyToMany.inputs(settings, ways);
        try {
            Topics.prepare(settings, inputs);
        } catch (IllegalStateException e) {
            System.err.println(e.getMessage());
            System.exit(1);
        }

        LongAdder written = new LongAdder();
        AvroSerde avro = new AvroSerde(settings.registryUrl());
        Topology topology = ways.isEmpty()
                ? ChatWithDeal.topology(settings, avro, written)
                : ManyToMany.topology(settings, avro, written, ways,
                        ways == Activity.WAYS ? new Activity() : new MessagesWithDeals());
        KafkaStreams streams = new KafkaStreams(topology, settings.streams());
        CountDownLatch failed = new CountDownLatch(1);
        streams.setStateListener((now, before) -> {
            if (now == State.RUNNING) {
                System.out.printf("joining %s into %s%n", String.join(" with ", inputs), settings.outputTopic());
            } else if (now == State.ERROR) {
                failed.countDown();
            }
        });
        // The transaction that failed is rolled back, so whoever starts the program again loses and repeats nothing.
        streams.setUncaughtExceptionHandler(failure -> StreamThreadExceptionResponse.SHUTDOWN_CLIENT);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            streams.close(Duration.ofSeconds(30));
            System.out.printf("%d rows written%n", written.sum());
        }));
        streams.start();
        failed.await();
        System.exit(1);
    }
}
