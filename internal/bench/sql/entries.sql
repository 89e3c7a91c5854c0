INSERT INTO {{.Database}}.entries
    (`log`, `partition`, `offset`, `index`, account_id, organization_id, project_id, subscription_id, meter, meter_type, event_id,
    kind, type, usage_id, quantity, requested, outcome, period_start, period_end, bucket, usage_time, received_at, updated_at, source,
    description, user_id, customer_id, metadata_keys, metadata_values, metadata_json, usage_limit, fingerprint, rules)
SELECT
    1, 0, number, 0,
    if(number % 2 = 0, '{{.Account}}', concat(leftPad(lower(hex(cityHash64(number) % {{.Others}})), 8, '0'), '-0000-4000-8000-000000000000')) AS account_id,
    'demo', '', '', if(number % 3 = 0, 'feature', 'credit') AS meter, 'interval', lower(hex(sipHash128(number + 1))), 'usage', meter, '',
    1 + number % 1000, 1 + number % 1000, 'applied',
    toDateTime64('2026-01-01 00:00:00', 9, 'UTC'), toDateTime64('2027-01-01 00:00:00', 9, 'UTC'),
    toStartOfFifteenMinutes(usage_time), toDateTime('2026-01-01 00:00:00', 'UTC')
        + toIntervalSecond(if(number % 2 = 0, intDiv(number * 365 * 86400, {{.All}}), intHash32(number) % 10 * 86400)) AS usage_time,
    toDateTime64('2026-06-01 00:00:00', 9, 'UTC'), NULL, 'bench', '', '', '', [], [], [], NULL, sipHash128(number), 1
FROM numbers({{.From}}, {{.Count}})
