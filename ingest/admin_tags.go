package ingest

import (
	"strconv"
	"strings"

	"reckoner/internal/catalog"
)

// etag is an entity's version as a header carries it.
func etag(v catalog.Version) string { return `"` + strconv.FormatUint(uint64(v), 10) + `"` }

// tags is the value of If-Match or If-None-Match: a list of versions, or any.
type tags struct {
	given    bool
	any      bool
	versions []catalog.Version
}

// parseTags reads every header line of one name. A weak tag, or one that is no version, is of nothing that there is, and
// matches nothing.
func parseTags(lines []string) (tags, error) {
	t := tags{given: len(lines) > 0}
	for tag := range strings.SplitSeq(strings.Join(lines, ","), ",") {
		tag = strings.TrimSpace(tag)
		opaque := strings.TrimPrefix(tag, "W/")
		switch {
		case tag == "": // RFC 9110 has lists with empty elements
		case tag == "*":
			t.any = true
		case len(opaque) < 2 || opaque[0] != '"' || strings.IndexByte(opaque[1:], '"') != len(opaque)-2:
			return tags{}, invalid(`invalid entity tag %s: want "VERSION" in quotes, as ETag gave it, or *`, clip(tag))
		case tag == opaque:
			if v, err := strconv.ParseUint(tag[1:len(tag)-1], 10, 64); err == nil && etag(catalog.Version(v)) == tag {
				t.versions = append(t.versions, catalog.Version(v))
			}
		}
	}
	return t, nil
}

// match reports whether the tags name the version; 0 is that of no entity.
func (t tags) match(version catalog.Version) bool {
	if version == 0 {
		return false
	}
	if t.any {
		return true
	}
	for _, v := range t.versions {
		if v == version {
			return true
		}
	}
	return false
}

// conditions are what a change wants of the entity as it is.
type conditions struct{ match, noneMatch tags }

func (c *call) conditions() (conditions, error) {
	match, err := parseTags(c.r.Header["If-Match"])
	if err != nil {
		return conditions{}, err
	}
	noneMatch, err := parseTags(c.r.Header["If-None-Match"])
	return conditions{match, noneMatch}, err
}

// hold returns errVersion unless the entity's version is one that the caller wants; 0 is that of no entity.
func (c conditions) hold(version catalog.Version) error {
	if c.match.given && !c.match.match(version) || c.noneMatch.match(version) {
		return errVersion
	}
	return nil
}

// exact reports whether the caller named the versions it knows. Then another's change ends the request; else it is made
// again on what is there.
func (c conditions) exact() bool { return c.match.given && !c.match.any || c.noneMatch.given }
