SELECT DISTINCT 'entries' AS `table`, `log`, `partition`, `offset`, `index`, event_id AS what
FROM entries
WHERE (`log`, `partition`) NOT IN (SELECT `number`, toInt32(arrayJoin(range(toUInt32(partitions)))) FROM logs)
    OR `log` = {log:UInt32} AND `offset` >= {ends:Array(Int64)}[`partition` + 1]
UNION ALL
SELECT DISTINCT 'refusals' AS `table`, `log`, `partition`, `offset`, `index`, event_id AS what
FROM refusals
WHERE (`log`, `partition`) NOT IN (SELECT `number`, toInt32(arrayJoin(range(toUInt32(partitions)))) FROM logs)
    OR `log` = {log:UInt32} AND `offset` >= {ends:Array(Int64)}[`partition` + 1]
UNION ALL
SELECT DISTINCT 'totals' AS `table`, `log`, `partition`, `offset`, `index`, account_id AS what
FROM totals FINAL
WHERE (`log`, `partition`) NOT IN (SELECT `number`, toInt32(arrayJoin(range(toUInt32(partitions)))) FROM logs)
UNION ALL
SELECT DISTINCT 'checkpoints' AS `table`, `log`, `partition`, toInt64(next_offset) AS `offset`, toInt32(0) AS `index`, '' AS what
FROM checkpoints
WHERE (`log`, `partition`) NOT IN (SELECT `number`, toInt32(arrayJoin(range(toUInt32(partitions)))) FROM logs)
