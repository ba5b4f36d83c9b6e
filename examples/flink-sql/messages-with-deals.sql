-- Both vendors: Whazing's messages, each with the Wegly deals that it belongs to. By reference: the ticket carries the
-- deal's id. By number: the contact's number is one of the deal's WhatsApp chats; a number may be that of several deals.
-- A message that meets a deal both ways has a row for each.
SELECT
  'reference' AS met_by,
  deals.deal_id,
  message.message_id,
  message.from_me,
  message.message_body AS body_text,
  message.`timestamp` AS sent_at,
  deals.deal.title AS deal_title,
  deals.deal.status AS deal_status,
  deals.deal.`value` AS deal_value
FROM (
  -- An event may have been written more than once: the first record of each is kept.
  SELECT reference, message_id, from_me, message_body, `timestamp`,
    ROW_NUMBER() OVER (PARTITION BY reference, event.id ORDER BY arrived) AS place
  FROM message_by_reference
) AS message
JOIN deals ON deals.deal_id = message.reference
WHERE message.place = 1
UNION ALL
SELECT
  'number' AS met_by,
  deals_by_phone.deal_id,
  message.message_id,
  message.from_me,
  message.message_body AS body_text,
  message.`timestamp` AS sent_at,
  deals_by_phone.deal.title AS deal_title,
  deals_by_phone.deal.status AS deal_status,
  deals_by_phone.deal.`value` AS deal_value
FROM (
  SELECT phone, message_id, from_me, message_body, `timestamp`,
    ROW_NUMBER() OVER (PARTITION BY phone, event.id ORDER BY arrived) AS place
  FROM message_by_phone
) AS message
JOIN deals_by_phone ON deals_by_phone.phone = message.phone
WHERE message.place = 1;
