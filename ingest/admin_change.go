package ingest

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"reckoner"
	"reckoner/internal/catalog"
	"reckoner/internal/catalog/live"
)

// put creates an entity, or puts another in its place. An entity that is the same already is answered without a change.
func (a *admin) put(c *call) error {
	kind, id, err := a.named(c)
	if err != nil {
		return err
	}
	body, err := a.readBody(c, nil)
	if err != nil {
		return err
	}
	if !jsontext.Value(body).IsValid(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)) {
		return notJSON(kind, id, body)
	}
	var put catalog.Entity
	status := http.StatusOK
	version, err := a.change(c, kind, id, func(current *catalog.Catalog, present catalog.Entity, version catalog.Version) (*catalog.Change, error) {
		e, faults := current.DecodeEntity(kind, id, body)
		if len(faults) > 0 {
			return nil, refused(kind, faults)
		}
		put, status = e, http.StatusOK
		if version == 0 {
			status = http.StatusCreated
		} else if sameEntity(present, e) {
			return nil, nil
		}
		change := catalog.Put(e, version, c.credential.ID)
		return &change, nil
	})
	if err != nil {
		return err
	}
	c.w.Header().Set("ETag", etag(version))
	if status == http.StatusCreated {
		c.w.Header().Set("Location", "/admin/v1/"+kind.Plural()+"/"+url.PathEscape(put.Key()))
	}
	a.answer(c, status, catalog.JSON(put))
	return nil
}

// notJSON says where a body stops being JSON.
func notJSON(kind catalog.Kind, id string, body []byte) error {
	_, faults := catalog.DecodeEntity(kind, id, body, nil)
	for _, f := range faults {
		return invalid("invalid body: %s", f.Message)
	}
	return invalid("invalid body: it is no JSON")
}

// sameEntity reports whether two entities say the same, their secrets included.
func sameEntity(x, y catalog.Entity) bool {
	if cx, ok := x.(*catalog.Credential); ok {
		if cy, ok := y.(*catalog.Credential); !ok || cx.SecretHash != cy.SecretHash {
			return false
		}
	}
	return bytes.Equal(catalog.JSON(x), catalog.JSON(y))
}

// delete removes an entity that nothing refers to.
func (a *admin) delete(c *call) error {
	kind, id, err := a.named(c)
	if err != nil {
		return err
	}
	_, err = a.change(c, kind, id, func(_ *catalog.Catalog, present catalog.Entity, version catalog.Version) (*catalog.Change, error) {
		if present == nil {
			return nil, noEntity(kind, id)
		}
		change := catalog.Delete(kind, present.Key(), version, c.credential.ID)
		return &change, nil
	})
	if err != nil {
		return err
	}
	a.empty(c, http.StatusNoContent)
	return nil
}

// change makes one change of what is there, and makes it again when another came first and the caller named no version.
// build returns nil where there is nothing to change. change returns the version that the entity has then.
func (a *admin) change(c *call, kind catalog.Kind, id string, build func(*catalog.Catalog, catalog.Entity, catalog.Version) (*catalog.Change, error)) (catalog.Version, error) {
	want, err := c.conditions()
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(c.r.Context(), a.changeTimeout)
	defer cancel()
	// What is there is judged as it stands in the log: the caller may have it from another process a moment ago.
	if err := a.writer.Sync(ctx); err != nil {
		return 0, undecided(err)
	}
	for {
		current := a.catalog.Current()
		present, version, _ := current.Entity(kind, id)
		if err := want.hold(version); err != nil && (present != nil || c.r.Method != http.MethodDelete) {
			return 0, err
		}
		change, err := build(current, present, version)
		if err != nil || change == nil {
			return version, err
		}
		if faults := current.Judge(*change); len(faults) > 0 && !stale(faults) {
			return 0, refused(kind, faults)
		}
		if _, _, err := change.Encode(); err != nil {
			return 0, &reckoner.Error{Code: reckoner.TooLarge, Err: err, Message: err.Error()}
		}
		decision, err := a.writer.Do(ctx, *change)
		if err != nil {
			return 0, undecided(err)
		}
		a.tell(c, change, &decision)
		switch decision.Result {
		case catalog.Applied:
			return decision.Version, nil
		case catalog.Stale:
			if want.exact() {
				return 0, errVersion
			}
			if ctx.Err() != nil {
				return 0, errBusyEntity
			}
		default:
			return 0, refused(kind, decision.Faults)
		}
	}
}

var errBusyEntity = &reckoner.Error{
	Code: reckoner.Unavailable, Message: "others change it all the time; nothing was changed by this request, try again in a moment",
}

func stale(faults []catalog.Fault) bool {
	for _, f := range faults {
		if f.Result == catalog.Stale {
			return true
		}
	}
	return false
}

// tell logs who changed what. What an entity holds stays out of logs.
func (a *admin) tell(c *call, change *catalog.Change, d *catalog.Decision) {
	what := "put"
	if change.Entity == nil {
		what = "delete"
	}
	a.log.LogAttrs(c.r.Context(), slog.LevelInfo, "change of the catalog",
		slog.String("request_id", c.id), slog.String("credential", c.credential.ID), slog.String("what", what),
		slog.String("kind", change.Kind.String()), slog.String("id", clip(change.Key)), slog.String("result", d.Result.String()),
		slog.Uint64("version", uint64(d.Version)))
}

// refused says why a change cannot be made: all of it. What the entity itself says is for 422; that it is in use, or that
// another has its name, is a conflict.
func refused(kind catalog.Kind, faults []catalog.Fault) error {
	var fields fieldsError
	var conflicts []string
	for _, f := range faults {
		if f.Result == catalog.InUse || f.Result == catalog.NameTaken {
			conflicts = append(conflicts, f.Message)
		}
		field := f.Path
		if field == "" {
			field = kind.String()
		}
		fields.add(field, f.Message)
	}
	if len(conflicts) == len(faults) {
		return &reckoner.Error{Code: reckoner.FailedPrecondition, Message: strings.Join(conflicts, "; ")}
	}
	return fields.err()
}

// undecided says what is known of a change that was not decided in time.
func undecided(err error) error {
	if _, ok := errors.AsType[*live.UnknownError](err); ok {
		return &reckoner.Error{
			Code: reckoner.Unavailable, Err: err,
			Message: "the change was not acknowledged; it may come into force all the same: read the entity again, then send the request again",
		}
	}
	return &reckoner.Error{Code: reckoner.Unavailable, Err: err, Message: "the catalog cannot be changed now; nothing was changed, try again in a moment"}
}
