package report

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"reckoner"
	"reckoner/internal/catalog"
	"reckoner/ledger/report/partner/vercel/receiver"
)

// The payloads of a hundred installations, a line each, which interop/ holds against the partner's own schemas.
const (
	interopFile   = "../../interop/testdata/payloads.jsonl"
	installations = 100
)

// installation returns a random one's payload. The same n always gives the same one.
func installation(t *testing.T, n int) []byte {
	t.Helper()
	s := rapid.Custom(drawScene).Example(n)
	random := rand.New(rand.NewPCG(uint64(n), 1))
	dress(s, random)
	parts := s.terms.Calendar().Due(s.moment, day)
	s.part = parts[random.IntN(len(parts))]
	return payload(t, s)
}

// dress adds what drawScene, which is for figures, leaves plain: discounts, names, and quantities beyond what a float holds.
func dress(s *scene, random *rand.Rand) {
	if random.IntN(2) == 0 {
		s.terms.Plans["plan_1"].Discounts = []catalog.Discount{{Name: "launch <&> été", Amount: decimal.New(random.Int64N(10_000), -3)}, {Name: "more", Amount: decimal.New(1, 20)}}
	}
	units := []string{"units", "GB-hours", "requests/s", "数", `"quoted" \ back`}
	for name, m := range s.terms.Meters {
		m.Unit = units[len(name)%len(units)]
		s.terms.Meters[name] = m
	}
	if random.IntN(4) == 0 {
		for i := range s.usage { // thirty of them still have a sum
			s.usage[i].quantity = mustQuantity(strings.Repeat("9", 10+random.IntN(24)) + ".125")
		}
	}
	if random.IntN(10) == 0 {
		s.usage = nil
	}
	if random.IntN(20) == 0 { // an account and nothing else
		s.usage, s.terms.Subscriptions, s.terms.Installation.Resources = nil, nil, nil
	}
}

func mustQuantity(text string) reckoner.Quantity {
	q, err := reckoner.ParseQuantity(text)
	if err != nil {
		panic(err)
	}
	return q
}

func payload(t testing.TB, s *scene) []byte {
	t.Helper()
	b, err := s.make(t).Payload().Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAHundredInstallations(t *testing.T) {
	var all bytes.Buffer
	for n := range installations {
		all.Write(append(installation(t, n), '\n'))
	}
	if *update {
		if err := os.MkdirAll(filepath.Dir(interopFile), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(interopFile, all.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(interopFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(kept, all.Bytes()) {
		t.Errorf("%s is not what the generator gives; go test ./ledger/report -update writes it:\n%s",
			interopFile, cmp.Diff(strings.Split(string(kept), "\n"), strings.Split(all.String(), "\n")))
	}
}

// The hundred are of every kind that there is, and break no rule of the partner's.
func TestAHundredInstallationsAreVaried(t *testing.T) {
	kinds := map[string]int{}
	count := func(kind string, is bool) {
		if n := kinds[kind]; is {
			kinds[kind] = n + 1
		} else {
			kinds[kind] = n
		}
	}
	for n := range installations {
		body := installation(t, n)
		strict(t, body)
		at := instant(t, string(body[len(`{"timestamp":"`):len(`{"timestamp":"2006-01-02T15:04:05.000Z`)]))
		if broken := receiver.Check(body, at); len(broken) > 0 {
			t.Fatalf("%q is wrong with\n%s", broken, body)
		}
		has := func(pattern string) bool { return matches(pattern, body) }
		eod := instant(t, string(body[bytes.Index(body, []byte(`"eod":"`))+7:][:24]))
		count("with resources", has(`"usage":\[.*"resourceId"`))
		count("without resources", !has(`"resourceId"`))
		count("with two resources", has(`"res_a"`) && has(`"res_b"`))
		count("levels", has(`"type":"total","units":"[^}]*Value":[1-9]`))
		count("peaks", has(`"type":"rate","units":"[^}]*Value":[1-9]`))
		count("limits", has(`"planValue"`))
		count("discounts", has(`"discounts"`))
		count("an array of items", has(`"billing":\[\{`))
		count("no items", has(`"billing":\[\]`))
		count("items of a part of the period", has(`"start":"[^"]+","end":"[^"]+","name"`))
		count("charges", has(`"total":"[^"]*[1-9]`))
		count("no usage", !has(`"periodValue":[^}]*[1-9]`) && !has(`"usage":\[\]`))
		count("nothing at all", has(`"usage":\[\]`))
		count("thirty digits", has(`"periodValue":\d{29,}`))
		count("fractions", has(`"dayValue":\d+\.\d`))
		count("days that end at no midnight", !eod.Equal(eod.Truncate(day)))
		count("+05:45", eod.Sub(eod.Truncate(day)) == fortyFive)
		count("days that have ended", !eod.After(at))
		count("parts that end with their period", has(`"eod":"([^"]+)","period":\{"start":"[^"]+","end":"`) && bytes.Count(body, []byte(`"`+eod.Format("2006-01-02T15:04:05.000Z")+`"`)) > 1)
	}
	for kind, n := range kinds {
		t.Logf("%3d have %s", n, kind)
		if n == 0 {
			t.Errorf("none of them has %s", kind)
		}
	}
}

// Whatever is due for whatever installation, the partner takes it, up to the last instant of its 24 hours.
func TestThePartnerTakesWhatIsDue(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := drawScene(rt)
		dress(s, rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1)))
		for _, s.part = range s.terms.Calendar().Due(s.moment, day) {
			body := payload(t, s)
			for _, at := range []time.Time{s.moment, wireTime(s.part.Day.End).Add(day)} {
				if broken := receiver.Check(body, at); len(broken) > 0 {
					rt.Fatalf("%q is wrong at %s with\n%s", broken, at, body)
				}
			}
		}
	})
}
