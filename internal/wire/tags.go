package wire

// The wire types of protobuf that the records have.
const (
	varint  = 0
	fixed64 = 1
	bytes   = 2
)

// The tags of the messages' fields, as deploy/schema numbers and types them: number << 3 | wire type.
const (
	tagRules          = 1<<3 | varint
	tagKind           = 2<<3 | varint
	tagID             = 3<<3 | bytes
	tagAccountID      = 4<<3 | bytes
	tagWritten        = 5<<3 | bytes
	tagDescription    = 6<<3 | bytes
	tagUserID         = 7<<3 | bytes
	tagCustomerID     = 8<<3 | bytes
	tagMetadata       = 9<<3 | bytes
	tagOrganizationID = 10<<3 | bytes
	tagProjectID      = 11<<3 | bytes
	tagType           = 12<<3 | bytes
	tagSubscriptionID = 13<<3 | bytes
	tagMeter          = 14<<3 | bytes
	tagMeterType      = 15<<3 | varint
	tagPeriodStart    = 16<<3 | fixed64
	tagPeriodEnd      = 17<<3 | fixed64
	tagLimit          = 18<<3 | bytes
	tagUsageTime      = 19<<3 | fixed64
	tagReceivedAt     = 20<<3 | fixed64
	tagUpdatedAt      = 21<<3 | fixed64
	tagReplyTo        = 22<<3 | bytes

	tagWrittenType          = 1<<3 | bytes
	tagWrittenSource        = 2<<3 | bytes
	tagWrittenSubscription  = 3<<3 | bytes
	tagWrittenQuantity      = 4<<3 | bytes
	tagWrittenUsageID       = 5<<3 | bytes
	tagWrittenAcceptPartial = 6<<3 | varint
	tagWrittenUsageTime     = 7<<3 | fixed64

	tagLabelKey   = 1<<3 | bytes
	tagLabelValue = 2<<3 | bytes
	tagLabelJSON  = 3<<3 | varint

	tagQuantityHigh = 1<<3 | fixed64
	tagQuantityLow  = 2<<3 | fixed64
)
