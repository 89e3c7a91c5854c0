{{template "v1_entry"}}
WHERE account_id = {account_id:String}
{{- if .Reverts}} AND e.kind = 'revert' AND usage_id = {event_id:String}
{{- else}} AND e.kind = 'usage' AND event_id IN {usage_ids:Array(String)}{{end}}
SETTINGS do_not_merge_across_partitions_select_final = 1, use_skip_indexes_if_final = 1
