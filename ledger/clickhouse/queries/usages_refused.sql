SELECT
    u.`log`, u.`partition`, u.`offset`, u.`index`, u.account_id, u.organization_id, u.subscription_id, u.event_id,
    toUInt8(u.outcome) AS outcome, '0' AS quantity, '0' AS reverted, assumeNotNull(u.usage_time) AS usage_time, u.received_at,
    CAST(NULL AS Nullable(DateTime64(9, 'UTC'))) AS reverted_at
FROM refusals AS u FINAL
WHERE u.event_id = {id:String} AND u.kind = 'usage' AND u.outcome = 'limit_exceeded' AND u.subscription_id != '' AND u.usage_time IS NOT NULL
{{- if .AccountID}} AND u.account_id = {account_id:String}{{end}}
{{- if .Restricted}} AND u.organization_id IN {organizations:Array(String)}{{end}}
ORDER BY u.account_id
SETTINGS do_not_merge_across_partitions_select_final = 1, use_skip_indexes_if_final = 1
