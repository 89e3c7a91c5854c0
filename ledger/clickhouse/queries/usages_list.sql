SELECT
    `log`, `partition`, `offset`, `index`, u.account_id, organization_id, subscription_id, event_id, toUInt8(outcome) AS outcome,
    toString(u.quantity) AS quantity, toString(negate(effect)) AS reverted, usage_time, received_at, if(effect != 0, r.at, NULL) AS reverted_at
FROM {{template "usages_matching" .}}
ORDER BY {{order .Sort}}
LIMIT {limit:UInt64} OFFSET {offset:UInt64}
SETTINGS do_not_merge_across_partitions_select_final = 1, use_skip_indexes_if_final = 1
