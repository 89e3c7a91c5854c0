SELECT meter, toString(quantity), events, reverts, first_use, last_use
FROM {{.Database}}.account_totals
WHERE account_id = '{{.Account}}'
ORDER BY meter
