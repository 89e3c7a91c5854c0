package config

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// rule says how a value is written.
type rule[T any] struct {
	allowed string
	parse   func(text string) (T, error)
}

const day = 24 * time.Hour

// duration is a Go duration, or days before it: 90s, 35d, 1d12h.
func duration(lo, hi time.Duration) rule[time.Duration] {
	return rule[time.Duration]{
		allowed: fmt.Sprintf("a duration (1500ms, 30s, 5m, 35d) from %s to %s", days(lo), days(hi)),
		parse: func(text string) (time.Duration, error) {
			d, err := parseDuration(text)
			return d, bounded(d, lo, hi, err)
		},
	}
}

var errDuration = errors.New("not a duration")

func parseDuration(text string) (time.Duration, error) {
	whole, rest, inDays := strings.Cut(text, "d")
	if !inDays {
		d, err := time.ParseDuration(text)
		if err != nil {
			return 0, errDuration
		}
		return d, nil
	}
	n, err := strconv.ParseUint(whole, 10, 32)
	if err != nil || n >= uint64(math.MaxInt64/day) {
		return 0, errDuration
	}
	if rest == "" {
		return time.Duration(n) * day, nil
	}
	d, err := time.ParseDuration(rest)
	if err != nil || d < 0 || d >= day {
		return 0, errDuration
	}
	return time.Duration(n)*day + d, nil
}

// days writes a duration short.
func days(d time.Duration) string {
	if d >= day && d%day == 0 {
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	s := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(s, zero) {
			s = s[:len(s)-2]
		}
	}
	return s
}

func number(lo, hi int) rule[int] {
	return rule[int]{
		allowed: fmt.Sprintf("a whole number from %d to %d", lo, hi),
		parse: func(text string) (int, error) {
			n, err := strconv.Atoi(text)
			if err != nil {
				err = errors.New("not a whole number")
			}
			return n, bounded(n, lo, hi, err)
		},
	}
}

// size is a number of bytes: 4096, 64KiB, 8MiB, 1GiB.
func size(lo, hi int64) rule[int64] {
	return rule[int64]{
		allowed: fmt.Sprintf("bytes (4096, 64KiB, 8MiB, 1GiB) from %s to %s", binary(lo), binary(hi)),
		parse: func(text string) (int64, error) {
			n, err := parseSize(text)
			return n, bounded(n, lo, hi, err)
		},
	}
}

var errSize = errors.New("not a number of bytes")

func parseSize(text string) (int64, error) {
	shift := 0
	digits := text
	for i, unit := range sizeUnits() {
		if before, ok := strings.CutSuffix(text, unit); ok {
			digits, shift = strings.TrimSuffix(before, " "), 10*(i+1)
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64>>shift {
		return 0, errSize
	}
	return n << shift, nil
}

func sizeUnits() []string { return []string{"KiB", "MiB", "GiB"} }

func binary(n int64) string {
	unit := ""
	for _, u := range sizeUnits() {
		if n == 0 || n%1024 != 0 {
			break
		}
		n, unit = n/1024, u
	}
	return strconv.FormatInt(n, 10) + unit
}

var errBounds = errors.New("out of bounds")

func bounded[T int | int64 | time.Duration](v, lo, hi T, err error) error {
	if err == nil && (v < lo || v > hi) {
		return errBounds
	}
	return err
}

func choice(words ...string) rule[string] {
	return rule[string]{
		allowed: strings.Join(words, ", "),
		parse: func(text string) (string, error) {
			if !slices.Contains(words, text) {
				return "", errors.New("not one of them")
			}
			return text, nil
		},
	}
}

// anyText is text that may be empty.
func anyText(allowed string) rule[string] {
	return rule[string]{allowed: allowed, parse: func(text string) (string, error) { return text, nil }}
}

func someText(allowed string) rule[string] {
	return rule[string]{allowed: allowed, parse: func(text string) (string, error) {
		if strings.TrimSpace(text) == "" {
			return "", errors.New("empty")
		}
		return text, nil
	}}
}

func address() rule[string] {
	return rule[string]{allowed: "HOST:PORT; an empty host is every address, port 0 is any free one", parse: parseAddress}
}

func parseAddress(text string) (string, error) {
	_, port, err := net.SplitHostPort(text)
	if err != nil {
		return "", errors.New("not HOST:PORT")
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", errors.New("the port is not a number from 0 to 65535")
	}
	return text, nil
}

// addresses is a list, as YAML or with commas.
func addresses() rule[[]string] {
	return rule[[]string]{
		allowed: "HOST:PORT, with commas or as a list; one that answers is enough",
		parse: func(text string) ([]string, error) {
			var all []string
			for one := range strings.SplitSeq(text, ",") {
				one = strings.TrimSpace(one)
				if host, port, err := net.SplitHostPort(one); err != nil || host == "" || port == "" || port == "0" {
					return nil, fmt.Errorf("%q is not HOST:PORT", one)
				}
				if _, err := parseAddress(one); err != nil {
					return nil, fmt.Errorf("%q: %w", one, err)
				}
				all = append(all, one)
			}
			return all, nil
		},
	}
}

func clickhouseURL() rule[string] {
	schemes := []string{"http", "https", "clickhouse"}
	return rule[string]{
		allowed: "http://, https:// or clickhouse:// (the native protocol), [USER:PASSWORD@]HOST:PORT[/DATABASE]",
		parse: func(text string) (string, error) {
			u, err := url.Parse(text)
			if err != nil || !slices.Contains(schemes, u.Scheme) || u.Hostname() == "" {
				return "", errors.New("not such a URL") // url's own error repeats the password
			}
			return text, nil
		},
	}
}

// baseURL is where a partner is, by the catalog's rules for an installation's base_url.
func baseURL() rule[string] {
	return rule[string]{
		allowed: "https://HOST[:PORT][/PATH], http:// on this machine only, or empty for none",
		parse: func(text string) (string, error) {
			if text == "" {
				return "", nil
			}
			u, err := url.Parse(text)
			if err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
				return "", errors.New("not such a URL")
			}
			ip, _ := netip.ParseAddr(u.Hostname())
			if u.Scheme != "https" && (u.Scheme != "http" || u.Hostname() != "localhost" && !ip.IsLoopback()) {
				return "", errors.New("a token goes with a report: want https")
			}
			return text, nil
		},
	}
}

// file names a file. Whether it can be read is told by whoever reads it.
func file() rule[string] { return anyText("a file, or empty for none") }

const hiddenText = "xxxxx"

// hidden shows only whether there is something.
func hidden(text string) string {
	if text == "" {
		return ""
	}
	return hiddenText
}

// hiddenURL returns a URL without its secrets.
func hiddenURL(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return hiddenText // nobody knows what is in it
	}
	query := u.Query()
	for name := range query {
		if strings.Contains(strings.ToLower(name), "password") || strings.Contains(strings.ToLower(name), "token") {
			query.Set(name, hiddenText)
		}
	}
	if len(query) > 0 {
		u.RawQuery = query.Encode()
	}
	return u.Redacted()
}
