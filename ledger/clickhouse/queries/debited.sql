SELECT toString(sum(quantity)) AS quantity
FROM entries FINAL
WHERE account_id = {account_id:String} AND type = {type:String} AND meter_type = 'interval'
SETTINGS do_not_merge_across_partitions_select_final = 1
