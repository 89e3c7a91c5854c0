SELECT formatRow('RowBinary',
    `log`, `partition`, `offset`, `index`, account_id, organization_id, project_id, subscription_id, meter, meter_type, event_id,
    kind, type, usage_id, requested, outcome, reason, usage_time, received_at, source, fingerprint, rules) AS packed
FROM refusals FINAL
WHERE `log` = {log:UInt32} AND `partition` = {partition:Int32} AND `offset` < {below:Int64}
ORDER BY account_id, `offset`, `index`
SETTINGS do_not_merge_across_partitions_select_final = 1
