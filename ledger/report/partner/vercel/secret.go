package vercel

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// mask stands where a token was.
const mask = "[token]"

// secret is a token in the forms in which an answer may give it back. It takes them out of all that is kept.
type secret struct{ forms []string } // the longest first

func newSecret(token string) *secret {
	s := new(secret)
	if token == "" {
		return s
	}
	quoted, _ := json.Marshal(token) // a string always can be
	inJSON := strings.Trim(string(quoted), `"`)
	s.forms = []string{
		token, inJSON, strings.ReplaceAll(inJSON, "/", `\/`), url.QueryEscape(token), url.PathEscape(token),
		base64.StdEncoding.EncodeToString([]byte(token)), base64.RawURLEncoding.EncodeToString([]byte(token)),
		base64.StdEncoding.EncodeToString([]byte("Bearer " + token)), base64.RawURLEncoding.EncodeToString([]byte("Bearer " + token)),
	}
	slices.SortFunc(s.forms, func(a, b string) int { return len(b) - len(a) })
	s.forms = slices.Compact(s.forms)
	return s
}

// longest returns how far into what follows a form that began may reach.
func (s *secret) longest() int {
	if len(s.forms) == 0 {
		return 0
	}
	return len(s.forms[0])
}

// keep returns the first most bytes of a text without the token, as valid UTF-8 of most bytes at most. The text is to go on
// beyond them by longest, if it is so long, so that no half of a token is left at the end.
func (s *secret) keep(text []byte, most int) string {
	out := strings.ToValidUTF8(s.scrub(string(text), most), string(utf8.RuneError))
	if len(out) <= most {
		return out
	}
	for most > 0 && !utf8.RuneStart(out[most]) {
		most--
	}
	return out[:most]
}

// scrub returns a text without the token, as far as it begins within the first most bytes.
func (s *secret) scrub(text string, most int) string {
	var b strings.Builder
	for i := 0; i < min(len(text), most); {
		n := s.at(text[i:])
		if n > 0 {
			b.WriteString(mask)
			i += n
			continue
		}
		b.WriteByte(text[i])
		i++
	}
	return b.String()
}

// at returns how long the form is that a text begins with; 0: none.
func (s *secret) at(text string) int {
	for _, form := range s.forms {
		if strings.HasPrefix(text, form) {
			return len(form)
		}
	}
	return 0
}

// hide returns an error that does not say the token.
func (s *secret) hide(err error) error {
	text := err.Error()
	if scrubbed := s.scrub(text, len(text)); scrubbed != text {
		return errors.New(scrubbed)
	}
	return err
}
