package runner

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"

	"reckoner/internal/catalog"
)

// tokenBytesMax bounds a token's file: whatever is larger is another file.
const tokenBytesMax = 16 << 10

// anyToken is sent where nobody names a token and the partner is the default one, which in dev is a receiver that takes any. It is
// no secret.
const anyToken = "no-token"

// ownPrefix begins the variables that hold settings of ours, secrets among them. None is ever sent to a partner.
const ownPrefix = "RECKONER_"

// token returns an installation's access token as it is now, so that one that was exchanged is used at once. What it says
// of a token that is none never repeats it.
func (r *Runner) token(in *catalog.Installation) (string, error) {
	var token, from string
	switch {
	case in.TokenEnv != "":
		from = "environment variable " + in.TokenEnv
		if strings.HasPrefix(strings.ToUpper(in.TokenEnv), ownPrefix) {
			return "", fmt.Errorf("token_env: %s is a setting of Reckoner's own, and no token: name another variable", from)
		}
		token = r.o.Getenv(in.TokenEnv)
	case in.TokenFile != "":
		from = "file " + in.TokenFile
		b, err := readToken(in.TokenFile)
		if err != nil {
			return "", fmt.Errorf("token_file: %w", err)
		}
		token = string(b)
	case in.BaseURL == "":
		return anyToken, nil
	default:
		return "", errors.New("it has no token: name one in the catalog, by token_env or token_file")
	}
	token = strings.TrimSpace(token)
	switch {
	case token == "":
		return "", fmt.Errorf("the token is empty: put it into the %s", from)
	case strings.ContainsFunc(token, func(c rune) bool { return unicode.IsControl(c) || unicode.IsSpace(c) || c == unicode.ReplacementChar }):
		return "", fmt.Errorf("the token has characters that no header can carry: put the token alone into the %s", from)
	}
	return token, nil
}

func readToken(path string) ([]byte, error) {
	f, err := os.Open(path) // the operator names it in the catalog
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, tokenBytesMax+1))
	if err != nil {
		return nil, err
	}
	if len(b) > tokenBytesMax {
		return nil, fmt.Errorf("%s has more than %d bytes: it is not a token", path, tokenBytesMax)
	}
	return b, nil
}

// withoutToken takes a token out of a text that came from outside, also where the text was cut within it.
func withoutToken(text, token string) string {
	const hidden = "[token]"
	if token == "" {
		return text
	}
	text = strings.ReplaceAll(text, token, hidden)
	for n := len(token) - 1; n >= 4; n-- {
		if head, ok := strings.CutSuffix(text, token[:n]); ok {
			return head + hidden
		}
	}
	return text
}
