SELECT formatRow('RowBinary',
    `log`, `partition`, `offset`, `index`, account_id, organization_id, project_id, subscription_id, meter, meter_type, event_id,
    kind, type, usage_id, quantity, requested, outcome, period_start, period_end, bucket, usage_time, received_at, updated_at, source,
    description, user_id, customer_id, metadata_keys, metadata_values, metadata_json, usage_limit, fingerprint, rules) AS packed
FROM entries FINAL
WHERE `log` = {log:UInt32} AND `partition` = {partition:Int32} AND `offset` < {below:Int64}
ORDER BY account_id, `offset`, `index`
SETTINGS do_not_merge_across_partitions_select_final = 1
