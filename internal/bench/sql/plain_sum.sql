SELECT meter, toString(sum(quantity)), sum(events), sum(reverts), min(first_use), max(last_use)
FROM {{.Database}}.plain
WHERE account_id = '{{.Account}}'
GROUP BY meter
ORDER BY meter
