-- hookbridge's topics as tables for Flink SQL.
--
-- ${BOOTSTRAP_SERVERS}, ${REGISTRY_URL} and ${TOPIC_PREFIX} (kafka.topic_prefix, mostly empty) are filled in before Flink
-- sees them: by envsubst, or by the runner in this folder.
--
-- A table lists only the columns it needs: they are found by name, at every level, in whatever schema a record was written
-- with, so records may gain fields. Every TIMESTAMP(3) inside a record is UTC.

-- Chat messages, once for each deal they are linked to: wegly.ChatMessageReceived and wegly.ChatMessageSent.
CREATE TABLE chat_by_deal (
  deal_id STRING,
  event ROW<id STRING, type STRING, occurred_at TIMESTAMP(3), received_at TIMESTAMP(3)>,
  message ROW<id STRING, from_me BOOLEAN, body_text STRING, meta_timestamp TIMESTAMP(3), created_at TIMESTAMP(3),
    associated_deals ARRAY<ROW<id STRING, title STRING>>>,
  written_at TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL,
  headers MAP<STRING, BYTES> METADATA VIRTUAL,
  ce_id AS CAST(headers['ce_id'] AS STRING),
  ce_type AS CAST(headers['ce_type'] AS STRING),
  arrived AS PROCTIME()
) WITH (
  'connector' = 'kafka',
  'properties.bootstrap.servers' = '${BOOTSTRAP_SERVERS}',
  'topic' = '${TOPIC_PREFIX}wegly.chat-by-deal',
  'scan.startup.mode' = 'earliest-offset',
  'key.format' = 'raw',
  'key.fields' = 'deal_id',
  'value.format' = 'avro-confluent',
  'value.avro-confluent.url' = '${REGISTRY_URL}',
  'value.fields-include' = 'EXCEPT_KEY'
);

-- The newest state of each deal. A tombstone deletes the row.
CREATE TABLE deal_latest (
  deal_id STRING,
  event ROW<id STRING, type STRING, occurred_at TIMESTAMP(3), received_at TIMESTAMP(3)>,
  deal ROW<title STRING, status BIGINT, `value` DOUBLE, updated_at TIMESTAMP(3)>,
  PRIMARY KEY (deal_id) NOT ENFORCED
) WITH (
  'connector' = 'upsert-kafka',
  'properties.bootstrap.servers' = '${BOOTSTRAP_SERVERS}',
  'topic' = '${TOPIC_PREFIX}wegly.deal-latest',
  'key.format' = 'raw',
  'value.format' = 'avro-confluent',
  'value.avro-confluent.url' = '${REGISTRY_URL}',
  'value.fields-include' = 'EXCEPT_KEY'
);

-- The same for leads. `lead` is a word of SQL, hence the quotes. Columns that hold JSON text are STRING:
-- JSON_VALUE(`lead`.stage, '$.name').
CREATE TABLE lead_latest (
  lead_id STRING,
  event ROW<id STRING, type STRING, occurred_at TIMESTAMP(3), received_at TIMESTAMP(3)>,
  `lead` ROW<title STRING, status BIGINT, stage STRING, responsible ROW<id STRING, name STRING>,
    tags ARRAY<ROW<id STRING, name STRING>>, updated_at TIMESTAMP(3)>,
  PRIMARY KEY (lead_id) NOT ENFORCED
) WITH (
  'connector' = 'upsert-kafka',
  'properties.bootstrap.servers' = '${BOOTSTRAP_SERVERS}',
  'topic' = '${TOPIC_PREFIX}wegly.lead-latest',
  'key.format' = 'raw',
  'value.format' = 'avro-confluent',
  'value.avro-confluent.url' = '${REGISTRY_URL}',
  'value.fields-include' = 'EXCEPT_KEY'
);

-- The log behind deal_latest, record by record. This connector leaves tombstones out ...
CREATE TABLE deal_states (
  deal_id STRING,
  event ROW<id STRING, type STRING, occurred_at TIMESTAMP(3), received_at TIMESTAMP(3)>,
  deal ROW<title STRING, status BIGINT, `value` DOUBLE, updated_at TIMESTAMP(3)>,
  `offset` BIGINT METADATA VIRTUAL
) WITH (
  'connector' = 'kafka',
  'properties.bootstrap.servers' = '${BOOTSTRAP_SERVERS}',
  'topic' = '${TOPIC_PREFIX}wegly.deal-latest',
  'scan.startup.mode' = 'earliest-offset',
  'key.format' = 'raw',
  'key.fields' = 'deal_id',
  'value.format' = 'avro-confluent',
  'value.avro-confluent.url' = '${REGISTRY_URL}',
  'value.fields-include' = 'EXCEPT_KEY'
);

-- ... unless values are read as bytes: a tombstone has none.
CREATE TABLE deal_bytes (
  deal_id STRING,
  content BYTES,
  `offset` BIGINT METADATA VIRTUAL
) WITH (
  'connector' = 'kafka',
  'properties.bootstrap.servers' = '${BOOTSTRAP_SERVERS}',
  'topic' = '${TOPIC_PREFIX}wegly.deal-latest',
  'scan.startup.mode' = 'earliest-offset',
  'key.format' = 'raw',
  'key.fields' = 'deal_id',
  'value.format' = 'raw',
  'value.fields-include' = 'EXCEPT_KEY'
);

-- The newest state of each deal, whatever the order of the records: of those after its last tombstone, the one with
-- the greatest updated_at, and the later one of equals. One without updated_at is older than all with: null is the least.
CREATE VIEW deals AS
SELECT deal_id, deal
FROM (
  SELECT s.deal_id, s.deal,
    ROW_NUMBER() OVER (PARTITION BY s.deal_id ORDER BY s.deal.updated_at DESC, s.`offset` DESC) AS place
  FROM deal_states AS s
  LEFT JOIN (SELECT deal_id, MAX(`offset`) AS `offset` FROM deal_bytes WHERE content IS NULL GROUP BY deal_id) AS tombstone
    ON s.deal_id = tombstone.deal_id
  WHERE tombstone.`offset` IS NULL OR s.`offset` > tombstone.`offset`
)
WHERE place = 1;

-- WhatsApp messages by the reference that their ticket carries: whazing.MessageReceived and whazing.MessageSent.
CREATE TABLE message_by_reference (
  reference STRING,
  event ROW<id STRING, type STRING, occurred_at TIMESTAMP(3), received_at TIMESTAMP(3)>,
  message_id STRING,
  message_body STRING,
  `timestamp` TIMESTAMP(3),
  status STRING,
  from_me BOOLEAN,
  media_type STRING,
  ticket ROW<id BIGINT, status STRING, protocol STRING, api_config STRING>,
  contact ROW<id BIGINT, name STRING, phone_number STRING>,
  written_at TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL,
  headers MAP<STRING, BYTES> METADATA VIRTUAL,
  ce_id AS CAST(headers['ce_id'] AS STRING),
  arrived AS PROCTIME()
) WITH (
  'connector' = 'kafka',
  'properties.bootstrap.servers' = '${BOOTSTRAP_SERVERS}',
  'topic' = '${TOPIC_PREFIX}whazing.message-by-reference',
  'scan.startup.mode' = 'earliest-offset',
  'key.format' = 'raw',
  'key.fields' = 'reference',
  'value.format' = 'avro-confluent',
  'value.avro-confluent.url' = '${REGISTRY_URL}',
  'value.fields-include' = 'EXCEPT_KEY'
);
