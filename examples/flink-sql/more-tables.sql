-- Tables that need `join_topics = "all"` in hookbridge's configuration, or a list that names their topics.

-- What happens around deals: seven topics are one table, since the records of each have `event`, and a deal's id as the key.
CREATE TABLE deal_events (
  deal_id STRING,
  event ROW<id STRING, type STRING, occurred_at TIMESTAMP(3), received_at TIMESTAMP(3)>,
  arrived AS PROCTIME()
) WITH (
  'connector' = 'kafka',
  'properties.bootstrap.servers' = '${BOOTSTRAP_SERVERS}',
  'topic' = '${TOPIC_PREFIX}wegly.chat-by-deal;${TOPIC_PREFIX}wegly.contract-by-deal;${TOPIC_PREFIX}wegly.delivery-by-deal;${TOPIC_PREFIX}wegly.task-by-deal;${TOPIC_PREFIX}wegly.satisfaction-by-deal;${TOPIC_PREFIX}whazing.message-by-reference;${TOPIC_PREFIX}whazing.ticket-by-reference',
  'scan.startup.mode' = 'earliest-offset',
  'key.format' = 'raw',
  'key.fields' = 'deal_id',
  'value.format' = 'avro-confluent',
  'value.avro-confluent.url' = '${REGISTRY_URL}',
  'value.fields-include' = 'EXCEPT_KEY'
);

-- By phone number, digits of E.164.

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

-- The same for leads.
CREATE TABLE lead_by_phone (
  phone STRING,
  `lead` ROW<id STRING, title STRING, status BIGINT, updated_at TIMESTAMP(3)>,
  `offset` BIGINT METADATA VIRTUAL
) WITH (
  'connector' = 'kafka',
  'properties.bootstrap.servers' = '${BOOTSTRAP_SERVERS}',
  'topic' = '${TOPIC_PREFIX}wegly.lead-by-phone',
  'scan.startup.mode' = 'earliest-offset',
  'key.format' = 'raw',
  'key.fields' = 'phone',
  'value.format' = 'avro-confluent',
  'value.avro-confluent.url' = '${REGISTRY_URL}',
  'value.fields-include' = 'EXCEPT_KEY'
);

-- Tombstones of leads: see deal_bytes in tables.sql.
CREATE TABLE lead_bytes (
  lead_id STRING,
  content BYTES,
  `offset` BIGINT METADATA VIRTUAL
) WITH (
  'connector' = 'kafka',
  'properties.bootstrap.servers' = '${BOOTSTRAP_SERVERS}',
  'topic' = '${TOPIC_PREFIX}wegly.lead-latest',
  'scan.startup.mode' = 'earliest-offset',
  'key.format' = 'raw',
  'key.fields' = 'lead_id',
  'value.format' = 'raw',
  'value.fields-include' = 'EXCEPT_KEY'
);

CREATE VIEW leads_by_phone AS
SELECT phone, lead_id, `lead`
FROM (
  SELECT s.phone, s.lead_id, s.`lead`,
    ROW_NUMBER() OVER (PARTITION BY s.phone, s.lead_id ORDER BY s.`lead`.updated_at DESC, s.`offset` DESC) AS place
  FROM (SELECT phone, `lead`.id AS lead_id, `lead`, `offset` FROM lead_by_phone) AS s
  LEFT JOIN (SELECT lead_id, MAX(`offset`) AS `offset` FROM lead_bytes WHERE content IS NULL GROUP BY lead_id) AS tombstone
    ON s.lead_id = tombstone.lead_id
  WHERE tombstone.`offset` IS NULL
)
WHERE place = 1;
