SELECT DISTINCT subscription_id
FROM totals
WHERE account_id = {account_id:String}
ORDER BY subscription_id
LIMIT {limit:UInt64}
