package vercel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"reckoner/ledger/report/partner"
)

const (
	bodyWait = 5 * time.Second // for the rest of an answer whose status is known
	drainMax = 64 << 10        // bytes of an answer that are read so that its connection can be used again
)

// Deliver sends a report once. Only 201 is success. An answer of another kind that does not say that the report is wrong may
// come from something between here and the partner, so it may be tried again.
func (t *Target) Deliver(ctx context.Context, d *partner.Delivery) partner.Answer {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	secret := newSecret(d.Token)
	req, err := t.request(ctx, d)
	if err != nil {
		return partner.Answer{Verdict: partner.Again, Err: err}
	}
	res, err := t.client.Do(req)
	switch {
	case ctx.Err() != nil && err != nil:
		return partner.Answer{Verdict: partner.Again, Err: fmt.Errorf("no answer came in time: %w", ctx.Err())}
	case err != nil: // it may quote what is no HTTP
		return partner.Answer{Verdict: partner.Again, Err: fmt.Errorf("no answer came: %w", secret.hide(bare(err)))}
	}
	defer func() { _ = res.Body.Close() }()
	defer time.AfterFunc(bodyWait, cancel).Stop()
	head, readErr := io.ReadAll(io.LimitReader(res.Body, int64(partner.ResponseBytesMax+secret.longest())))
	if readErr == nil {
		_, _ = io.CopyN(io.Discard, res.Body, drainMax) // what is left of it closes the connection
	}
	a := partner.Answer{Code: res.StatusCode, Body: secret.keep(head, partner.ResponseBytesMax), Verdict: verdict(res.StatusCode)}
	if a.Verdict == partner.Accepted {
		return a
	}
	a.RetryAfter = retryAfter(res.Header.Get("Retry-After"), t.o.Now())
	a.Err = reason(res.StatusCode)
	return a
}

func (t *Target) request(ctx context.Context, d *partner.Delivery) (*http.Request, error) {
	if err := checkToken(d.Token); err != nil {
		return nil, err
	}
	to, err := endpoint(d.BaseURL, d.Installation.ID)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(d.Payload))
	if err != nil {
		return nil, fmt.Errorf("base_url: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+d.Token)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", t.userAgent)
	return req, nil
}

// checkToken refuses what cannot be sent in a header. It never quotes it.
func checkToken(token string) error {
	if token == "" {
		return errors.New("there is no access token: fill what token_env or token_file names")
	}
	for i := range len(token) {
		if token[i] <= ' ' || token[i] == 0x7f {
			return errors.New("the access token holds white space or a control character: mend what token_env or token_file names")
		}
	}
	return nil
}

// endpoint returns where the reports of an installation go. The base may carry a path, and one slash at its end says nothing.
func endpoint(base, installationID string) (string, error) {
	u, err := url.Parse(base)
	switch {
	case err != nil:
		return "", errors.New("base_url is not a URL: want one as in https://api.example.com")
	case u.Scheme != "https" && u.Scheme != "http", u.Hostname() == "":
		return "", fmt.Errorf("base_url %q: want https://HOST, with a port or a path if need be", u.Redacted())
	case u.User != nil, u.RawQuery != "", u.ForceQuery, u.Fragment != "":
		return "", fmt.Errorf("base_url %q: want no user, no query and no fragment", u.Redacted())
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return "", fmt.Errorf("base_url %q: plain http is for loopback addresses only, because the token goes with it: want https", base)
	case installationID == "":
		return "", errors.New("the installation has no id")
	}
	return strings.TrimSuffix(base, "/") + "/v1/installations/" + segment(installationID) + "/billing", nil
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// segment encodes a text as one segment of a path. One of dots alone would mean a folder.
func segment(s string) string {
	if strings.Trim(s, ".") == "" {
		return strings.ReplaceAll(s, ".", "%2E")
	}
	return url.PathEscape(s)
}

// bare takes the method and the URL off an error of the client: they say nothing new.
func bare(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}
