-- What happened around each deal, whatever the vendor: chats, contracts, deliveries, tasks, forms, messages, tickets; and the messages
-- with each lead's numbers. Each with the newest state of the deal or the lead.
SELECT
  'deal' AS about,
  deals.deal_id AS id,
  happened.event.id AS event_id,
  happened.event.type AS event_type,
  happened.event.occurred_at AS occurred_at,
  deals.deal.title AS title,
  deals.deal.status AS status,
  deals.deal.updated_at AS updated_at
FROM (
  -- An event may have been written more than once: the first record of each (event, deal) is kept.
  SELECT deal_id, event, ROW_NUMBER() OVER (PARTITION BY deal_id, event.id ORDER BY arrived) AS place
  FROM deal_events
) AS happened
JOIN deals ON deals.deal_id = happened.deal_id
WHERE happened.place = 1
UNION ALL
SELECT
  'lead' AS about,
  leads_by_phone.lead_id AS id,
  message.event.id AS event_id,
  message.event.type AS event_type,
  message.event.occurred_at AS occurred_at,
  leads_by_phone.`lead`.title AS title,
  leads_by_phone.`lead`.status AS status,
  leads_by_phone.`lead`.updated_at AS updated_at
FROM (
  SELECT phone, event, ROW_NUMBER() OVER (PARTITION BY phone, event.id ORDER BY arrived) AS place
  FROM message_by_phone
) AS message
JOIN leads_by_phone ON leads_by_phone.phone = message.phone
WHERE message.place = 1;
