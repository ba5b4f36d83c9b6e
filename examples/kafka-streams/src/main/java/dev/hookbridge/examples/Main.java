package dev.hookbridge.examples;

import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.LongAdder;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KafkaStreams.State;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;

/** Checks the topics, runs the topology until SIGTERM or Ctrl-C, and says how many rows were written. */
public final class Main {
    private Main() {}

    public static void main(String[] args) throws InterruptedException {
        Settings settings = Settings.from(System.getenv());
        try {
            Topics.prepare(settings);
        } catch (IllegalStateException e) {
            System.err.println(e.getMessage());
            System.exit(1);
        }

        LongAdder written = new LongAdder();
        KafkaStreams streams = new KafkaStreams(
                ChatWithDeal.topology(settings, new AvroSerde(settings.registryUrl()), written), settings.streams());
        CountDownLatch failed = new CountDownLatch(1);
        streams.setStateListener((now, before) -> {
            if (now == State.RUNNING) {
                System.out.printf("joining %s with %s into %s%n",
                        settings.chatTopic(), settings.dealTopic(), settings.outputTopic());
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
