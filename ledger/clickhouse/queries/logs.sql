SELECT
    `number`, topic, partitions, registered_at, starts, lost_partitions, lost_from, lost_to, lost_records, lost_causes
FROM logs FINAL
WHERE `number` = {number:UInt32} OR {number:UInt32} = 0 AND `number` = (SELECT max(`number`) FROM logs)
ORDER BY topic, partitions
