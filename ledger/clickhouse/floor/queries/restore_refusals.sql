SELECT
    `log`, `partition`, `offset`, `index`, account_id, organization_id, project_id, subscription_id,
    toString(meter) AS meter, toUInt8(meter_type) AS meter_type, event_id, toUInt8(kind) AS kind, toString(type) AS type,
    usage_id, toString(requested) AS requested, toUInt8(outcome) AS outcome, reason, usage_time, received_at,
    toString(source) AS source, fingerprint, rules
FROM refusals FINAL
WHERE `log` = {log:UInt32} AND `partition` = {partition:Int32} AND `offset` < {below:Int64}
    AND account_id >= {after:String}
    AND (account_id, `offset`, `index`) > ({after:String}, {after_offset:Int64}, {after_index:Int32})
ORDER BY account_id, `offset`, `index`
SETTINGS do_not_merge_across_partitions_select_final = 1
