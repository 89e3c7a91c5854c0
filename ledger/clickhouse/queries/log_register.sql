INSERT INTO logs (`number`, topic, partitions, registered_at, starts)
SELECT {number:UInt32}, {topic:String}, {partitions:Int32}, fromUnixTimestamp64Nano({registered_at:Int64}, 'UTC'), {starts:Array(Int64)}
