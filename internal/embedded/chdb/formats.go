package chdb

import "strings"

// contentTypes are what a server answers by format; what is not here is bytes.
var contentTypes = map[string]string{
	"tabseparated": "text/tab-separated-values; charset=UTF-8", "tsv": "text/tab-separated-values; charset=UTF-8",
	"tabseparatedraw": "text/tab-separated-values; charset=UTF-8", "tsvraw": "text/tab-separated-values; charset=UTF-8",
	"tabseparatedwithnames": "text/tab-separated-values; charset=UTF-8", "tsvwithnames": "text/tab-separated-values; charset=UTF-8",
	"tabseparatedwithnamesandtypes": "text/tab-separated-values; charset=UTF-8", "tsvwithnamesandtypes": "text/tab-separated-values; charset=UTF-8",
	"csv": "text/csv; charset=UTF-8; header=absent", "csvwithnames": "text/csv; charset=UTF-8; header=present",
	"csvwithnamesandtypes": "text/csv; charset=UTF-8; header=present",
	"json":                 "application/json; charset=UTF-8", "jsoncompact": "application/json; charset=UTF-8", "jsonstrings": "application/json; charset=UTF-8",
	"jsoneachrow": "application/x-ndjson; charset=UTF-8", "jsonlines": "application/x-ndjson; charset=UTF-8", "ndjson": "application/x-ndjson; charset=UTF-8",
	"jsoncompacteachrow": "application/x-ndjson; charset=UTF-8", "jsonstringseachrow": "application/x-ndjson; charset=UTF-8",
	"xml": "application/xml; charset=UTF-8", "values": "text/plain; charset=UTF-8", "vertical": "text/plain; charset=UTF-8",
	"pretty": "text/plain; charset=UTF-8", "prettycompact": "text/plain; charset=UTF-8", "markdown": "text/markdown; charset=UTF-8",
}

func contentType(format string) string {
	return firstOf(contentTypes[strings.ToLower(format)], "application/octet-stream")
}

// streamable formats are those of which two documents in a row are one document.
// The engine begins every chunk of a streamed result anew, so that any other
// format (JSON, CSVWithNames, Parquet …) is answered in one piece.
var streamable = map[string]bool{
	"native": true, "rowbinary": true, "tabseparated": true, "tsv": true, "tabseparatedraw": true, "tsvraw": true,
	"csv": true, "jsoneachrow": true, "jsonlines": true, "ndjson": true, "jsoncompacteachrow": true, "jsonstringseachrow": true,
}

func isStreamable(format string) bool { return streamable[strings.ToLower(format)] }
