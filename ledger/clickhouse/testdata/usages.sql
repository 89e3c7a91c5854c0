-- a list without a filter
SELECT
    `log`, `partition`, `offset`, `index`, u.account_id, organization_id, subscription_id, event_id, toUInt8(outcome) AS outcome,
    toString(u.quantity) AS quantity, toString(negate(effect)) AS reverted, usage_time, received_at, if(effect != 0, r.at, NULL) AS reverted_at
FROM (
    SELECT
        `log`, `partition`, `offset`, `index`, account_id, organization_id, subscription_id, event_id, outcome,
        quantity, usage_time, received_at
    FROM entries FINAL
    WHERE kind = 'usage' AND subscription_id != ''
) AS u
LEFT ANY JOIN
(
    SELECT account_id, usage_id, any(quantity) AS effect, any(received_at) AS at
    FROM entries
    WHERE kind = 'revert' AND subscription_id != ''
    GROUP BY account_id, usage_id
) AS r ON u.account_id = r.account_id AND u.event_id = r.usage_id
WHERE NOT (effect != 0 AND u.quantity + effect = 0)
ORDER BY u.`log`, u.`partition`, u.`offset`, u.`index`
LIMIT {limit:UInt64} OFFSET {offset:UInt64}
SETTINGS do_not_merge_across_partitions_select_final = 1, use_skip_indexes_if_final = 1;

-- a list with every filter
SELECT
    `log`, `partition`, `offset`, `index`, u.account_id, organization_id, subscription_id, event_id, toUInt8(outcome) AS outcome,
    toString(u.quantity) AS quantity, toString(negate(effect)) AS reverted, usage_time, received_at, if(effect != 0, r.at, NULL) AS reverted_at
FROM (
    SELECT
        `log`, `partition`, `offset`, `index`, account_id, organization_id, subscription_id, event_id, outcome,
        quantity, usage_time, received_at
    FROM entries FINAL
    WHERE kind = 'usage' AND subscription_id != '' AND organization_id IN {organizations:Array(String)} AND event_id IN {ids:Array(String)} AND subscription_id IN {subscriptions:Array(String)} AND (positionCaseInsensitiveUTF8(event_id, {text:String}) > 0 OR positionCaseInsensitiveUTF8(subscription_id, {text:String}) > 0)
        AND received_at >= fromUnixTimestamp64Nano({created_least:Int64}, 'UTC')
        AND received_at <= fromUnixTimestamp64Nano({created_greatest:Int64}, 'UTC')
        AND arrayExists((a, b) -> toUnixTimestamp64Nano(received_at) BETWEEN a AND b, {created_from:Array(Int64)}, {created_to:Array(Int64)})
        AND arrayExists((a, b) -> toUnixTimestamp64Nano(usage_time) BETWEEN a AND b, {usage_from:Array(Int64)}, {usage_to:Array(Int64)})
) AS u
LEFT ANY JOIN
(
    SELECT account_id, usage_id, any(quantity) AS effect, any(received_at) AS at
    FROM entries
    WHERE kind = 'revert' AND subscription_id != '' AND usage_id IN {ids:Array(String)} AND subscription_id IN {subscriptions:Array(String)}
    GROUP BY account_id, usage_id
) AS r ON u.account_id = r.account_id AND u.event_id = r.usage_id
WHERE NOT (effect != 0 AND u.quantity + effect = 0)
    AND arrayExists((a, b) -> u.quantity + effect BETWEEN a AND b,
        CAST({quantity_from:Array(String)} AS Array(Decimal(38, 3))), CAST({quantity_to:Array(String)} AS Array(Decimal(38, 3))))
    AND arrayExists((a, b) -> toUnixTimestamp64Nano(if(effect != 0, r.at, u.received_at)) BETWEEN a AND b, {updated_from:Array(Int64)}, {updated_to:Array(Int64)})
ORDER BY u.quantity + effect DESC, ifNull(reverted_at, u.received_at), u.`log`, u.`partition`, u.`offset`, u.`index`
LIMIT {limit:UInt64} OFFSET {offset:UInt64}
SETTINGS do_not_merge_across_partitions_select_final = 1, use_skip_indexes_if_final = 1;

-- a list with every filter negated
SELECT
    `log`, `partition`, `offset`, `index`, u.account_id, organization_id, subscription_id, event_id, toUInt8(outcome) AS outcome,
    toString(u.quantity) AS quantity, toString(negate(effect)) AS reverted, usage_time, received_at, if(effect != 0, r.at, NULL) AS reverted_at
FROM (
    SELECT
        `log`, `partition`, `offset`, `index`, account_id, organization_id, subscription_id, event_id, outcome,
        quantity, usage_time, received_at
    FROM entries FINAL
    WHERE kind = 'usage' AND subscription_id != '' AND organization_id IN {organizations:Array(String)} AND event_id NOT IN {ids:Array(String)} AND subscription_id NOT IN {subscriptions:Array(String)} AND (positionCaseInsensitiveUTF8(event_id, {text:String}) > 0 OR positionCaseInsensitiveUTF8(subscription_id, {text:String}) > 0)
        AND NOT arrayExists((a, b) -> toUnixTimestamp64Nano(received_at) BETWEEN a AND b, {created_from:Array(Int64)}, {created_to:Array(Int64)})
        AND NOT arrayExists((a, b) -> toUnixTimestamp64Nano(usage_time) BETWEEN a AND b, {usage_from:Array(Int64)}, {usage_to:Array(Int64)})
) AS u
LEFT ANY JOIN
(
    SELECT account_id, usage_id, any(quantity) AS effect, any(received_at) AS at
    FROM entries
    WHERE kind = 'revert' AND subscription_id != ''
    GROUP BY account_id, usage_id
) AS r ON u.account_id = r.account_id AND u.event_id = r.usage_id
WHERE NOT (effect != 0 AND u.quantity + effect = 0)
    AND NOT arrayExists((a, b) -> u.quantity + effect BETWEEN a AND b,
        CAST({quantity_from:Array(String)} AS Array(Decimal(38, 3))), CAST({quantity_to:Array(String)} AS Array(Decimal(38, 3))))
    AND NOT arrayExists((a, b) -> toUnixTimestamp64Nano(if(effect != 0, r.at, u.received_at)) BETWEEN a AND b, {updated_from:Array(Int64)}, {updated_to:Array(Int64)})
ORDER BY u.quantity + effect DESC, ifNull(reverted_at, u.received_at), u.`log`, u.`partition`, u.`offset`, u.`index`
LIMIT {limit:UInt64} OFFSET {offset:UInt64}
SETTINGS do_not_merge_across_partitions_select_final = 1, use_skip_indexes_if_final = 1;

-- the number of a list
SELECT count()
FROM (
    SELECT
        `log`, `partition`, `offset`, `index`, account_id, organization_id, subscription_id, event_id, outcome,
        quantity, usage_time, received_at
    FROM entries FINAL
    WHERE kind = 'usage' AND subscription_id != ''
) AS u
LEFT ANY JOIN
(
    SELECT account_id, usage_id, any(quantity) AS effect, any(received_at) AS at
    FROM entries
    WHERE kind = 'revert' AND subscription_id != ''
    GROUP BY account_id, usage_id
) AS r ON u.account_id = r.account_id AND u.event_id = r.usage_id
WHERE NOT (effect != 0 AND u.quantity + effect = 0)
SETTINGS do_not_merge_across_partitions_select_final = 1, use_skip_indexes_if_final = 1;

-- a lookup
SELECT
    `log`, `partition`, `offset`, `index`, u.account_id, organization_id, subscription_id, event_id, toUInt8(outcome) AS outcome,
    toString(u.quantity) AS quantity, toString(negate(effect)) AS reverted, usage_time, received_at, if(effect != 0, r.at, NULL) AS reverted_at
FROM
(
    SELECT
        `log`, `partition`, `offset`, `index`, account_id, organization_id, subscription_id, event_id, outcome,
        quantity, usage_time, received_at
    FROM entries FINAL
    WHERE event_id = {id:String} AND kind = 'usage' AND subscription_id != ''
) AS u
LEFT ANY JOIN
(
    SELECT account_id, usage_id, any(quantity) AS effect, any(received_at) AS at
    FROM entries
    WHERE usage_id = {id:String} AND kind = 'revert'
    GROUP BY account_id, usage_id
) AS r ON u.account_id = r.account_id AND u.event_id = r.usage_id
ORDER BY u.account_id
SETTINGS do_not_merge_across_partitions_select_final = 1, use_skip_indexes_if_final = 1;

-- a lookup with everything
SELECT
    `log`, `partition`, `offset`, `index`, u.account_id, organization_id, subscription_id, event_id, toUInt8(outcome) AS outcome,
    toString(u.quantity) AS quantity, toString(negate(effect)) AS reverted, usage_time, received_at, if(effect != 0, r.at, NULL) AS reverted_at
FROM
(
    SELECT
        `log`, `partition`, `offset`, `index`, account_id, organization_id, subscription_id, event_id, outcome,
        quantity, usage_time, received_at
    FROM entries FINAL
    WHERE event_id = {id:String} AND kind = 'usage' AND subscription_id != '' AND account_id = {account_id:String} AND organization_id IN {organizations:Array(String)}
) AS u
LEFT ANY JOIN
(
    SELECT account_id, usage_id, any(quantity) AS effect, any(received_at) AS at
    FROM entries
    WHERE usage_id = {id:String} AND kind = 'revert' AND account_id = {account_id:String}
    GROUP BY account_id, usage_id
) AS r ON u.account_id = r.account_id AND u.event_id = r.usage_id
ORDER BY u.account_id
SETTINGS do_not_merge_across_partitions_select_final = 1, use_skip_indexes_if_final = 1;

-- a lookup of what was refused
SELECT
    u.`log`, u.`partition`, u.`offset`, u.`index`, u.account_id, u.organization_id, u.subscription_id, u.event_id,
    toUInt8(u.outcome) AS outcome, '0' AS quantity, '0' AS reverted, assumeNotNull(u.usage_time) AS usage_time, u.received_at,
    CAST(NULL AS Nullable(DateTime64(9, 'UTC'))) AS reverted_at
FROM refusals AS u FINAL
WHERE u.event_id = {id:String} AND u.kind = 'usage' AND u.outcome = 'limit_exceeded' AND u.subscription_id != '' AND u.usage_time IS NOT NULL
ORDER BY u.account_id
SETTINGS do_not_merge_across_partitions_select_final = 1, use_skip_indexes_if_final = 1;

-- a lookup of what was refused, with everything
SELECT
    u.`log`, u.`partition`, u.`offset`, u.`index`, u.account_id, u.organization_id, u.subscription_id, u.event_id,
    toUInt8(u.outcome) AS outcome, '0' AS quantity, '0' AS reverted, assumeNotNull(u.usage_time) AS usage_time, u.received_at,
    CAST(NULL AS Nullable(DateTime64(9, 'UTC'))) AS reverted_at
FROM refusals AS u FINAL
WHERE u.event_id = {id:String} AND u.kind = 'usage' AND u.outcome = 'limit_exceeded' AND u.subscription_id != '' AND u.usage_time IS NOT NULL AND u.account_id = {account_id:String} AND u.organization_id IN {organizations:Array(String)}
ORDER BY u.account_id
SETTINGS do_not_merge_across_partitions_select_final = 1, use_skip_indexes_if_final = 1;

