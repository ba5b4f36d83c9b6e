package dev.hookbridge.examples;

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
 * the argument {@code messages-with-deals} {@link MessagesWithDeals}.
 */
public final class Main {
    private Main() {}

    public static void main(String[] args) throws InterruptedException {
        boolean bothVendors = List.of(args).contains("messages-with-deals");
        Settings settings = Settings.from(System.getenv(), bothVendors ? "messages-with-deals" : "chat-with-deal");
        List<String> inputs = bothVendors
                ? MessagesWithDeals.inputs(settings)
                : List.of(settings.chatTopic(), settings.dealTopic());
        try {
            Topics.prepare(settings, inputs);
        } catch (IllegalStateException e) {
            System.err.println(e.getMessage());
            System.exit(1);
        }

        LongAdder written = new LongAdder();
        AvroSerde avro = new AvroSerde(settings.registryUrl());
        Topology topology = bothVendors
                ? MessagesWithDeals.topology(settings, avro, written)
                : ChatWithDeal.topology(settings, avro, written);
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
