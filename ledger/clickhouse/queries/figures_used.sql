SELECT account_id, subscription_id, max(bucket)
FROM totals
WHERE account_id IN {account_ids:Array(String)}
GROUP BY account_id, subscription_id
