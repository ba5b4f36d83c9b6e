-- WhatsApp messages and deals by phone number, digits of E.164: tables that need `join_topics = "all"` in hookbridge's
-- configuration, or a list with whazing.message-by-phone and wegly.deal-by-phone.

-- Messages by the number of the contact: whazing.MessageReceived and whazing.MessageSent.
CREATE TABLE message_by_phone (
  phone STRING,
  event ROW<id STRING, type STRING, occurred_at TIMESTAMP(3), received_at TIMESTAMP(3)>,
  message_id STRING,
  message_body STRING,
  `timestamp` TIMESTAMP(3),
  from_me BOOLEAN,
  arrived AS PROCTIME()
) WITH (
  'connector' = 'kafka',
  'properties.bootstrap.servers' = '${BOOTSTRAP_SERVERS}',
  'topic' = '${TOPIC_PREFIX}whazing.message-by-phone',
  'scan.startup.mode' = 'earliest-offset',
  'key.format' = 'raw',
  'key.fields' = 'phone',
  'value.format' = 'avro-confluent',
  'value.avro-confluent.url' = '${REGISTRY_URL}',
  'value.fields-include' = 'EXCEPT_KEY'
);

-- Deals, once for each number of their WhatsApp chats: all events of deals.
CREATE TABLE deal_by_phone (
  phone STRING,
  deal ROW<id STRING, title STRING, status BIGINT, `value` DOUBLE, updated_at TIMESTAMP(3)>,
  `offset` BIGINT METADATA VIRTUAL
) WITH (
  'connector' = 'kafka',
  'properties.bootstrap.servers' = '${BOOTSTRAP_SERVERS}',
  'topic' = '${TOPIC_PREFIX}wegly.deal-by-phone',
  'scan.startup.mode' = 'earliest-offset',
  'key.format' = 'raw',
  'key.fields' = 'phone',
  'value.format' = 'avro-confluent',
  'value.avro-confluent.url' = '${REGISTRY_URL}',
  'value.fields-include' = 'EXCEPT_KEY'
);

-- The newest state of each deal that was told with a number: the greatest updated_at, and the later one of equals. Of a deal
-- that was forgotten (a tombstone in deal_bytes, see tables.sql) nothing is left.
-- (The outer join is there for Flink as well: ranked straight from the source, Flink 2.2 left replaced states in the join.)
CREATE VIEW deals_by_phone AS
SELECT phone, deal_id, deal
FROM (
  SELECT s.phone, s.deal_id, s.deal,
    ROW_NUMBER() OVER (PARTITION BY s.phone, s.deal_id ORDER BY s.deal.updated_at DESC, s.`offset` DESC) AS place
  FROM (SELECT phone, deal.id AS deal_id, deal, `offset` FROM deal_by_phone) AS s
  LEFT JOIN (SELECT deal_id, MAX(`offset`) AS `offset` FROM deal_bytes WHERE content IS NULL GROUP BY deal_id) AS tombstone
    ON s.deal_id = tombstone.deal_id
  WHERE tombstone.`offset` IS NULL
)
WHERE place = 1;
