package runner

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"reckoner/ledger"
	"reckoner/ledger/report/partner"
)

// askedMax bounds for how long a partner can ask an installation's next runs to wait.
const askedMax = time.Hour

// delivery sends the reports of one installation, one after the other.
type delivery struct {
	*run
	job     *job
	lane    *lane     // whose slots it takes
	patient bool      // it holds a token of those who wait to try again
	until   time.Time // when it is no longer tried again; zero: nothing was tried yet
	worst   outcome
	what    string    // why it is not accepted
	at      time.Time // the moment of what was accepted last
}

// deliver sends an installation's reports, older parts first, so that the newest timestamp carries the newest figures of
// their period, and has the outcome recorded. A part that is not accepted holds up none that follow: each is tried once at
// least.
func (r *run) deliver(l *lane, j *job) {
	d := &delivery{run: r, job: j, lane: l, worst: accepted}
	sent := make([]ledger.Report, 0, len(j.rows))
	for i := range j.rows {
		row := j.rows[i]
		if !d.send(&row) {
			d.bad(failed, errors.New("the process was stopped before all reports were sent"))
			break // the row stays as it is: whether the partner has it is not known
		}
		row.Revision++
		sent = append(sent, row)
	}
	r.recorder.in <- result{rows: sent, done: func() {
		r.metrics.reported(sent)
		r.count(sent)
		r.end(j.id, d.worst, d.what, d.at)
		r.state.release(j.id)
		d.leave()
	}}
}

// leave gives back what holds its reports in memory.
func (d *delivery) leave() {
	if d.patient {
		<-d.retries
		return
	}
	d.lane.leave()
}

// bad keeps the worst that happened.
func (d *delivery) bad(o outcome, err error) {
	if o > d.worst {
		d.worst, d.what = o, err.Error()
	}
}

// send sends one report until the partner says yes or never, or until it is not to be tried again. It returns false when ctx
// ended before it was tried.
func (d *delivery) send(row *ledger.Report) bool {
	var before *partner.Answer
	for tried := 0; ; tried++ {
		if !take(d.ctx, d.lane.slots) {
			return tried > 0
		}
		if d.until.IsZero() {
			d.until = time.Now().Add(d.o.DeliveryTimeout)
		}
		answer := d.attempt(row, before)
		<-d.lane.slots
		switch answer.Verdict {
		case partner.Accepted:
			row.Status, d.at = ledger.ReportAccepted, row.Moment
			return true
		case partner.Final:
			if row.Status = ledger.ReportRefused; before != nil {
				row.Status = ledger.ReportFailed // an attempt before may have got through, and only its answer was lost
			}
			d.bad(refused, fmt.Errorf("%s: refused: %s", part(row), row.Error))
			return true
		default:
			row.Status = ledger.ReportFailed
			if before = &answer; !d.wait(tried, answer.RetryAfter) {
				d.bad(failed, fmt.Errorf("%s: %s", part(row), row.Error))
				return true
			}
		}
	}
}

func part(row *ledger.Report) string {
	return "the day that ends at " + row.Day.End.UTC().Format(time.RFC3339)
}

// attempt sends a report once.
func (d *delivery) attempt(row *ledger.Report, before *partner.Answer) partner.Answer {
	d.o.At("send")
	answer := partner.Answer{Verdict: partner.Again}
	var token string
	if _, ambient := d.job.target.(partner.Ambient); !ambient {
		token, answer.Err = d.token(d.job.in)
	}
	if answer.Err == nil {
		row.Attempt++
		row.SentAt = d.o.Now().UTC()
		ctx, cancel := context.WithTimeout(d.sends, d.o.RequestTimeout)
		answer = d.job.target.Deliver(ctx, &partner.Delivery{
			Installation: d.job.in, BaseURL: d.job.baseURL, Token: token, Payload: row.Payload, Attempt: row.Attempt, Before: before,
		})
		cancel()
		d.metrics.attempted(row.Target, answer.Code)
	}
	d.o.At("sent")
	if answer.Verdict != partner.Accepted && answer.Err == nil {
		answer.Err = fmt.Errorf("the partner answered %d", answer.Code)
	}
	row.Code, row.Error = answer.Code, ""
	row.Response = storable(answer.Body, token)
	if answer.Verdict != partner.Accepted {
		row.Error = storable(answer.Err.Error(), token)
	}
	return answer
}

// storable returns a text that came from outside as it may be kept.
func storable(text, token string) string {
	text = withoutToken(text, token)
	text = withoutToken(text[:min(len(text), partner.ResponseBytesMax)], token)
	return strings.ToValidUTF8(text, "?")
}

// wait waits before the next attempt, the tried-th failed; false: there is to be none. Whoever waits holds no slot, and from
// then on takes those of the slow lane. How many wait is bounded: those beyond are left to the next run, which has newer
// figures anyway.
func (d *delivery) wait(tried int, asked time.Duration) bool {
	if asked > 0 {
		d.state.with(d.job.id, func(at *standing) { at.notBefore = time.Now().Add(min(asked, askedMax)) })
	}
	pause := max(d.backoff(tried), asked)
	if !time.Now().Add(pause).Before(d.until) {
		return false
	}
	if !d.patient {
		select {
		case d.retries <- struct{}{}:
			d.lane.leave()
			d.lane, d.patient = d.slow, true
		default:
			return false
		}
	}
	return sleep(d.ctx, pause)
}
