SELECT count()
FROM {{template "usages_matching" .}}
SETTINGS do_not_merge_across_partitions_select_final = 1, use_skip_indexes_if_final = 1
