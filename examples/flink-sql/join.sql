-- Chat messages, each with the newest state of its deal. A regular join: Flink keeps both sides, so a message may come
-- before its deal, and a deal that changes changes the rows of its messages. With LEFT JOIN messages are also there while
-- their deal is not known.
SELECT
  chat.deal_id,
  chat.message.id AS message_id,
  chat.message.from_me AS from_me,
  chat.message.body_text AS body_text,
  COALESCE(chat.message.meta_timestamp, chat.message.created_at) AS sent_at,
  deals.deal.title AS deal_title,
  deals.deal.status AS deal_status,
  deals.deal.`value` AS deal_value,
  deals.deal.updated_at AS deal_updated_at
FROM (
  -- An event may have been written more than once: the first record of each (event, deal) is kept.
  SELECT deal_id, message, ROW_NUMBER() OVER (PARTITION BY deal_id, event.id ORDER BY arrived) AS place
  FROM chat_by_deal
) AS chat
JOIN deals ON deals.deal_id = chat.deal_id
WHERE chat.place = 1;
