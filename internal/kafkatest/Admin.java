import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.AdminClient;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionInfo;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Kafka's own client, driven by lines: words parted by tabs come in, "ok" or "error" and words go out. */
public class Admin {
    private static String brokers;
    private static AdminClient admin;

    public static void main(String[] args) throws Exception {
        brokers = args[0];
        Properties p = properties();
        p.put("request.timeout.ms", "5000");
        p.put("default.api.timeout.ms", "15000");
        admin = AdminClient.create(p);
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = in.readLine()) != null; ) {
            String answer;
            try {
                answer = "ok\t" + run(line.split("\t"));
            } catch (Exception e) {
                Throwable cause = e.getCause() == null ? e : e.getCause();
                answer = "error\t" + cause.toString().replaceAll("\\s+", " ");
            }
            System.out.println(answer);
        }
        System.exit(0);
    }

    private static String run(String[] w) throws Exception {
        switch (w[0]) {
            case "nodes":
                return join(admin.describeCluster().nodes().get().stream().map(Node::id).collect(Collectors.toCollection(TreeSet::new)));
            case "partition": {
                TopicPartitionInfo p = partition(w[1], Integer.parseInt(w[2]));
                return (p.leader() == null ? -1 : p.leader().id()) + "\t" + join(p.isr().stream().map(Node::id).sorted().toList());
            }
            case "coordinator":
                return admin.describeConsumerGroups(List.of(w[1])).all().get().get(w[1]).coordinator().idString();
            case "delete-records":
                admin.deleteRecords(Map.of(at(w), RecordsToDelete.beforeOffset(Long.parseLong(w[3])))).all().get();
                return "";
            case "delete-topic":
                admin.deleteTopics(List.of(w[1])).all().get();
                return "";
            case "log-level":
                for (Node n : admin.describeCluster().nodes().get()) {
                    logLevel(n.idString(), w[1], w[2]);
                }
                return "";
            case "produce":
                return produce(w[1], w[2], Arrays.copyOfRange(w, 3, w.length));
            case "transact":
                return transact(w[1], Integer.parseInt(w[2]), w[3]);
            case "times":
                return times(at(w), Integer.parseInt(w[3]));
            default:
                throw new IllegalArgumentException("nobody knows " + w[0]);
        }
    }

    private static TopicPartition at(String[] w) {
        return new TopicPartition(w[1], Integer.parseInt(w[2]));
    }

    private static TopicPartitionInfo partition(String topic, int number) throws Exception {
        return admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions().get(number);
    }

    private static void logLevel(String node, String logger, String level) throws Exception {
        ConfigResource r = new ConfigResource(ConfigResource.Type.BROKER_LOGGER, node);
        AlterConfigOp op = new AlterConfigOp(new ConfigEntry(logger, level), AlterConfigOp.OpType.SET);
        admin.incrementalAlterConfigs(Map.of(r, List.of(op))).all().get();
    }

    /** Writes a record for each key, with Kafka's default partitioner, and answers with their partitions. */
    private static String produce(String topic, String compression, String[] keys) throws Exception {
        Properties p = properties();
        p.put("compression.type", compression);
        p.put("linger.ms", "50"); // so that several records share a batch
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(p, new StringSerializer(), new StringSerializer())) {
            var sent = Arrays.stream(keys).map(k -> producer.send(new ProducerRecord<>(topic, k, compression + " " + k))).toList();
            StringBuilder out = new StringBuilder();
            for (var s : sent) {
                out.append(out.length() == 0 ? "" : "\t").append(s.get().partition());
            }
            return out.toString();
        }
    }

    private static String transact(String topic, int partition, String value) throws Exception {
        Properties p = properties();
        p.put("transactional.id", "transact");
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(p, new StringSerializer(), new StringSerializer())) {
            producer.initTransactions();
            producer.beginTransaction();
            producer.send(new ProducerRecord<>(topic, partition, null, value)).get();
            producer.commitTransaction();
        }
        return "";
    }

    /** Answers with the times of the first records of a partition, in milliseconds, as Kafka's own consumer sees them. */
    private static String times(TopicPartition at, int records) {
        Properties p = properties();
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(p, new StringDeserializer(), new StringDeserializer())) {
            consumer.assign(List.of(at));
            consumer.seekToBeginning(List.of(at));
            StringBuilder out = new StringBuilder();
            for (long end = System.nanoTime() + 15_000_000_000L; records > 0 && System.nanoTime() < end; ) {
                for (var r : consumer.poll(Duration.ofMillis(200))) {
                    out.append(out.length() == 0 ? "" : "\t").append(r.timestampType()).append(' ').append(r.timestamp());
                    records--;
                }
            }
            return out.toString();
        }
    }

    private static Properties properties() {
        Properties p = new Properties();
        p.put("bootstrap.servers", brokers);
        return p;
    }

    private static String join(Iterable<Integer> numbers) {
        StringBuilder out = new StringBuilder();
        for (int n : numbers) {
            out.append(out.length() == 0 ? "" : ",").append(n);
        }
        return out.toString();
    }
}
