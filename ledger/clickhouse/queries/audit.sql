SELECT
    e.1 AS entries, r.1 AS refusals, e.2 AS entries_digest, r.2 AS refusals_digest
FROM
(
    SELECT
        (
            SELECT (count(), sum(reinterpretAsUInt64(substring(SHA256(concat(toString(`offset`), '.', toString(`index`),
                ':', toString(outcome), ':', toString(quantity), ':', account_id, ':', event_id)), 1, 8))))
            FROM entries FINAL
            WHERE `log` = {log:UInt32} AND `partition` = {partition:Int32} AND `offset` < {below:Int64}
            SETTINGS do_not_merge_across_partitions_select_final = 1
        ) AS e,
        (
            SELECT (count(), sum(reinterpretAsUInt64(substring(SHA256(concat(toString(`offset`), '.', toString(`index`),
                ':', toString(outcome), ':0:', account_id, ':', event_id)), 1, 8))))
            FROM refusals FINAL
            WHERE `log` = {log:UInt32} AND `partition` = {partition:Int32} AND `offset` < {below:Int64}
            SETTINGS do_not_merge_across_partitions_select_final = 1
        ) AS r
)
