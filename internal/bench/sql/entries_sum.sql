SELECT meter, toString(sum(quantity)), toUInt64(count()), toUInt64(0), min(usage_time), max(usage_time)
FROM {{.Database}}.entries
WHERE account_id = '{{.Account}}'
GROUP BY meter
ORDER BY meter
