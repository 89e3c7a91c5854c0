SELECT DISTINCT account_id, subscription_id
FROM totals
WHERE account_id IN {account_ids:Array(String)}
ORDER BY account_id, subscription_id
