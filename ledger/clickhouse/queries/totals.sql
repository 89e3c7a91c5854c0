SELECT
    account_id, subscription_id, toString(meter) AS meter, toUInt8(meter_type) AS meter_type, period_start, period_end, bucket,
    toString(quantity) AS quantity, events, reverts, first_use, last_use, reading_log, reading_partition, reading_offset,
    reading_index, `log`, `partition`, `offset`, `index`,
    version = bitOr(bitOr(bitShiftLeft(toUInt128(`log`), 96), bitShiftLeft(toUInt128(`offset`), 32)), toUInt128(`index`)) AS fits
FROM totals FINAL
WHERE `log` = {log:UInt32} AND `partition` = {partition:Int32}
