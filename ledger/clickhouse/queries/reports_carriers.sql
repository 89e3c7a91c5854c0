SELECT installation_id, first.1 AS at, first.2 AS reporter
FROM
(
    SELECT installation_id, min((`timestamp`, r.reporter)) AS first
    FROM reports AS r FINAL
    WHERE account_id = {account_id:String} AND status = 'accepted'
        AND toUnixTimestamp64Nano(period_start) <= {at:Int64} AND toUnixTimestamp64Nano(period_end) > {at:Int64}
        AND (as_of_log, as_of_offset, as_of_index) >= ({log:UInt32}, {offset:Int64}, {index:Int32})
        AND arrayExists((subscription, start, end) -> subscription = {subscription_id:String} AND toUnixTimestamp64Nano(start) <= {at:Int64}
            AND toUnixTimestamp64Nano(end) > {at:Int64}, scope_subscriptions, scope_starts, scope_ends)
    GROUP BY installation_id
)
ORDER BY installation_id
SETTINGS do_not_merge_across_partitions_select_final = 1, use_skip_indexes_if_final = 1
