SELECT event_id, toString(source) AS source
FROM entries FINAL
WHERE account_id = {account_id:String} AND event_id IN {usage_ids:Array(String)} AND kind = 'usage'
SETTINGS do_not_merge_across_partitions_select_final = 1
