import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonProcessingException;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.ResultKind;
import org.apache.flink.table.api.TableEnvironment;
import org.apache.flink.table.api.TableResult;
import org.apache.flink.types.Row;
import org.apache.flink.types.RowKind;
import org.apache.flink.util.CloseableIterator;

/**
 * Runs SQL files in a Flink inside this process, as a stream that ends where the topics end now, and prints the
 * rows that each query has come to, one JSON object a line.
 */
public final class Main {
    private static final Map<String, String> DEFAULTS = Map.of(
            "BOOTSTRAP_SERVERS", "localhost:9092", "REGISTRY_URL", "http://localhost:8081", "TOPIC_PREFIX", "");
    private static final DateTimeFormatter INSTANT = DateTimeFormatter.ofPattern("yyyy-MM-dd'T'HH:mm:ss.SSS'Z'");
    private static final ObjectMapper JSON = new ObjectMapper();

    public static void main(String[] args) throws Exception {
        TableEnvironment flink = TableEnvironment.create(EnvironmentSettings.inStreamingMode());
        flink.getConfig().set("table.local-time-zone", "UTC");
        for (String file : args.length > 0 ? args : new String[] {"tables.sql", "join.sql"}) {
            for (String statement : statements(Files.readString(Path.of(file)))) {
                TableResult result = flink.executeSql(statement);
                if (result.getResultKind() == ResultKind.SUCCESS_WITH_CONTENT) {
                    print(result);
                }
            }
            endWhereTopicsEnd(flink);
        }
    }

    /** A statement ends with a semicolon at the end of a line; names in ${...} are taken from the environment. */
    private static List<String> statements(String sql) {
        String filled = Pattern.compile("\\$\\{(\\w+)}").matcher(sql).replaceAll(name -> Matcher.quoteReplacement(
                System.getenv().getOrDefault(name.group(1), DEFAULTS.getOrDefault(name.group(1), name.group()))));
        return Arrays.stream(filled.split(";\\s*(\\R|$)")).filter(statement -> !statement.isBlank()).toList();
    }

    private static void endWhereTopicsEnd(TableEnvironment flink) {
        List<String> tables = new ArrayList<>(List.of(flink.listTables()));
        tables.removeAll(List.of(flink.listViews()));
        for (String table : tables) {
            flink.executeSql("ALTER TABLE `" + table + "` SET ('scan.bounded.mode' = 'latest-offset')");
        }
    }

    /** Rows come as changes, since a join's result changes with what arrives: they are added up. */
    private static void print(TableResult result) throws Exception {
        List<String> columns = result.getResolvedSchema().getColumnNames();
        Map<String, Integer> counts = new LinkedHashMap<>();
        try (CloseableIterator<Row> rows = result.collect()) {
            while (rows.hasNext()) {
                Row row = rows.next();
                boolean added = row.getKind() == RowKind.INSERT || row.getKind() == RowKind.UPDATE_AFTER;
                counts.merge(json(columns, row), added ? 1 : -1, Integer::sum);
            }
        }
        counts.forEach((line, count) -> {
            for (int i = 0; i < count; i++) {
                System.out.println(line);
            }
        });
    }

    private static String json(List<String> columns, Row row) throws JsonProcessingException {
        Map<String, Object> object = new LinkedHashMap<>();
        for (String column : columns) {
            object.put(column, plain(row.getField(column)));
        }
        return JSON.writeValueAsString(object);
    }

    private static Object plain(Object value) {
        if (value == null || value instanceof Number || value instanceof Boolean) {
            return value;
        } else if (value instanceof Object[] array) {
            return Arrays.stream(array).map(Main::plain).toList();
        } else if (value instanceof Row row) {
            Map<String, Object> object = new LinkedHashMap<>();
            row.getFieldNames(true).forEach(name -> object.put(name, plain(row.getField(name))));
            return object;
        }
        return value instanceof LocalDateTime time ? INSTANT.format(time) : value.toString();
    }
}
