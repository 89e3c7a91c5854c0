SELECT c.`log`, c.`partition`, c.next_offset
FROM checkpoints AS c FINAL
INNER JOIN (SELECT number, partitions FROM logs FINAL ORDER BY number DESC LIMIT 1) AS l ON c.`log` = l.number
WHERE c.`partition` = toInt32(bitAnd(kafkaMurmurHash({account_id:String}), 2147483647) % toUInt32(l.partitions))
