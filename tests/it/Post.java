import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;

/** Posts bodies with the JDK's client, and prints each status: Post.java URL COUNT BYTES. */
public class Post {
    public static void main(String[] arguments) throws Exception {
        var client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
        var body = HttpRequest.BodyPublishers.ofByteArray(new byte[Integer.parseInt(arguments[2])]);
        var request = HttpRequest.newBuilder(URI.create(arguments[0]))
                .header("content-type", "application/json")
                .header("X-N8N-API-KEY", "wrong")
                .timeout(Duration.ofSeconds(60))
                .POST(body)
                .build();
        for (int i = 0; i < Integer.parseInt(arguments[1]); i++) {
            System.out.println(client.send(request, BodyHandlers.ofString()).statusCode());
        }
    }
}
