package awsmarketplace

import (
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// fault says what a call was refused for.
type fault uint8

const (
	ofAll    fault = iota // whatever is sent
	ofHour                // when it was, for whom, or of which product
	ofRecord              // a record's dimension
)

func faultOf(code string) fault {
	switch code {
	case "TimestampOutOfBoundsException", "InvalidLicenseException", "InvalidProductCodeException", "InvalidCustomerIdentifierException", "CustomerNotEntitledException":
		return ofHour
	case "InvalidUsageDimensionException":
		return ofRecord
	default:
		return ofAll
	}
}

// failure is what a call came to that AWS did not answer with results.
type failure struct {
	result result
	fault  fault
	code   int
	wait   time.Duration
	text   string
}

// failureOf says what an error of the SDK means for the records of the call. Only what surely was not taken is so called.
func failureOf(err error, sent *mark) failure {
	f := failure{result: unsure, text: clip(sent.hide(err.Error()))}
	var response *smithyhttp.ResponseError
	if errors.As(err, &response) && response.Response != nil {
		f.code = response.HTTPStatusCode()
		f.wait = retryAfter(response.Response.Header)
	}
	var api smithy.APIError
	var dial *net.OpError
	switch {
	case !sent.set.Load(): // no credentials, or the context ended before
		f.result = unprocessed
	case errors.As(err, &dial) && dial.Op == "dial":
		f.result = unprocessed
	case f.code == 0 || f.code >= 500:
	case !errors.As(err, &api) || api.ErrorCode() == "" || api.ErrorCode() == "UnknownError":
		// Something between here and AWS answered, or what AWS answered was cut.
		if f.code >= 300 && f.code < 500 {
			f.result = unprocessed
		}
	case f.code < 300:
	default:
		f.result = refusal
		if f.text = api.ErrorCode() + hint(api.ErrorCode()) + said(api, sent); retried(api.ErrorCode()) || slices.Contains([]int{408, 409, 425, 429}, f.code) {
			f.result = unprocessed
		}
		f.fault = faultOf(api.ErrorCode())
	}
	return f
}

// retried reports whether AWS asks to send again what it did not process. A clock that is wrong may be set right.
func retried(code string) bool {
	return strings.Contains(code, "Throttl") || slices.Contains([]string{
		"TooManyRequestsException", "RequestLimitExceeded", "RequestThrottledException", "SlowDown", "ServiceUnavailable",
		"ServiceUnavailableException", "InternalServiceErrorException", "InternalFailure", "RequestTimeout",
		"RequestTimeoutException", "RequestExpired", "RequestTimeTooSkewed",
	}, code)
}

// hint says what to do.
func hint(code string) string {
	switch code {
	case "TimestampOutOfBoundsException":
		return " (AWS takes that hour no more, or the clock is wrong)"
	case "InvalidProductCodeException":
		return " (look at product_code in the catalog)"
	case "InvalidLicenseException":
		return " (look at license_arn and customer_account_id in the catalog; and usage from before the agreement began is not taken)"
	case "InvalidUsageDimensionException":
		return " (the product has no such dimension: look at dimensions in the catalog)"
	case "InvalidCustomerIdentifierException":
		return " (look at customer_account_id or customer_identifier in the catalog)"
	case "DisabledApiException":
		return " (BatchMeterUsage is not offered in that region: look at region in the catalog)"
	case "AccessDeniedException", "UnauthorizedException", "NotAuthorized":
		return " (the credentials need aws-marketplace:BatchMeterUsage, and must be of the account that sells the product)"
	case "ExpiredTokenException", "ExpiredToken", "UnrecognizedClientException", "InvalidClientTokenId", "InvalidSignatureException", "SignatureDoesNotMatch", "IncompleteSignature", "MissingAuthenticationTokenException":
		return " (look at the credentials of this process)"
	default:
		return ""
	}
}

// said returns what AWS says beside the code. Where a signature is wrong it repeats what was signed, a session's token among
// it, which is for nobody's eyes.
func said(api smithy.APIError, sent *mark) string {
	text := api.ErrorMessage()
	if text == "" || strings.Contains(api.ErrorCode(), "Signature") {
		return ""
	}
	return ": " + clip(sent.hide(text))
}

// clip bounds a text that is kept. What is to be hidden in it is hidden before, else a half of it would stay at the end.
func clip(text string) string {
	const longest = 1000
	if len(text) > longest {
		return strings.ToValidUTF8(text[:longest], "") + "…"
	}
	return text
}

// retryAfterMax bounds how long we let ourselves be sent away.
const retryAfterMax = time.Hour

func retryAfter(h http.Header) time.Duration {
	n, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || n < 0 {
		return 0
	}
	return min(time.Duration(n)*time.Second, retryAfterMax)
}

// mark notes whether a request was handed to the network, and what in it is for nobody's eyes.
type mark struct {
	set     atomic.Bool
	secrets []string // written before set is
}

// carry notes the session's token and the signature of a request. The secret key itself is in none.
func (m *mark) carry(r *http.Request) {
	_, signature, _ := strings.Cut(r.Header.Get("Authorization"), "Signature=")
	for _, secret := range []string{r.Header.Get("X-Amz-Security-Token"), signature} {
		if secret != "" {
			m.secrets = append(m.secrets, secret, url.QueryEscape(secret), base64.StdEncoding.EncodeToString([]byte(secret)))
		}
	}
}

// hide takes what the request carried out of a text: an answer, or what stands between here and AWS, may repeat it.
func (m *mark) hide(text string) string {
	if !m.set.Load() {
		return text
	}
	for _, secret := range m.secrets {
		text = strings.ReplaceAll(text, secret, "[token]")
	}
	return text
}

type markKey struct{}

// client is the SDK's way to the network.
type client struct{ *http.Client }

// answerBytesMax bounds what is read of an answer: 25 records are far less.
const answerBytesMax = 1 << 20

// Do sends a request, and notes that it did.
func (c client) Do(r *http.Request) (*http.Response, error) {
	if m, ok := r.Context().Value(markKey{}).(*mark); ok {
		m.carry(r)
		m.set.Store(true)
	}
	resp, err := c.Client.Do(r)
	if err != nil {
		return nil, err
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, answerBytesMax), resp.Body}
	return resp, nil
}

// newHTTP returns a client that follows no redirect: what is signed is for one place.
func newHTTP(carrier http.RoundTripper) *http.Client {
	if carrier == nil {
		own := &http.Transport{
			Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 64, IdleConnTimeout: 90 * time.Second,
			TLSHandshakeTimeout: 10 * time.Second, DialContext: (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		}
		carrier = own
	}
	return &http.Client{Transport: carrier, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}
