package chdb

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unsafe"
)

// pool hands out connections of the engine, at most `limit` at once.
//
// Invariant: a connection is configured when it is made and never afterwards,
// and is handed out only for exactly that configuration. That is what keeps a
// query's settings from every other query. A configuration nobody asked for
// recently is closed to make room.
type pool struct {
	name  string // tells its connections from another pool's
	lib   *library
	args  []string      // of every connect to this data directory
	slots chan struct{} // one for every connection in use
	queue chan struct{} // one for everyone who waits for a slot
	wait  time.Duration // how long one waits at most
	over  chan struct{} // closed when no more queries are taken

	mu   sync.Mutex
	idle []*conn // the most recently used last
	busy map[*conn]struct{}
	made int64
	shut sync.Once
	done bool // closed, and every connection with it; only close looks at it
}

func newPool(name string, lib *library, args []string, limit, queue int, wait time.Duration) *pool {
	return &pool{name: name, lib: lib, args: args, wait: wait, slots: make(chan struct{}, limit),
		queue: make(chan struct{}, queue), over: make(chan struct{}), busy: map[*conn]struct{}{}}
}

// take waits for a free connection with the configuration asked for. Errors:
// TOO_MANY_SIMULTANEOUS_QUERIES when too many wait or the wait was too long,
// the engine's own when it refuses the database or a setting, ctx's.
func (p *pool) take(ctx context.Context, database string, settings []setting, fresh bool) (*conn, error) {
	if err := p.slot(ctx); err != nil {
		return nil, err
	}
	c, err := p.conn(database, settings, fresh)
	if err != nil {
		<-p.slots
		return nil, err
	}
	return c, nil
}

func (p *pool) slot(ctx context.Context) error {
	select {
	case <-p.over:
		return errClosing()
	default:
	}
	select {
	case p.slots <- struct{}{}:
		return nil
	default:
	}
	select {
	case p.queue <- struct{}{}:
	default:
		return exceptionf(codeTooManyQueries, "Too many simultaneous queries. Maximum: %d running, %d waiting", cap(p.slots), cap(p.queue))
	}
	defer func() { <-p.queue }()
	patience := time.NewTimer(p.wait)
	defer patience.Stop()
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-patience.C:
		return exceptionf(codeTooManyQueries, "Too many simultaneous queries. Maximum: %d. Waited %s for one to end", cap(p.slots), p.wait)
	case <-p.over:
		return errClosing()
	case <-ctx.Done():
		return fmt.Errorf("waiting for a connection of the embedded engine: %w", ctx.Err())
	}
}

// conn finds an idle connection of that configuration or makes one.
func (p *pool) conn(database string, settings []setting, fresh bool) (*conn, error) {
	key := configurationKey(database, settings)
	p.mu.Lock()
	if !fresh {
		for i := len(p.idle) - 1; i >= 0; i-- {
			if c := p.idle[i]; c.key == key {
				p.idle = slices.Delete(p.idle, i, i+1)
				p.busy[c] = struct{}{}
				p.mu.Unlock()
				return c, nil
			}
		}
	}
	p.made++
	c := &conn{lib: p.lib, key: key, spoilt: fresh, mark: markPrefix + p.name + " " + strconv.FormatInt(p.made, 10)}
	p.busy[c] = struct{}{} // so that close waits for it
	p.mu.Unlock()

	handle := dialGuarded(p.lib, p.args)
	if handle == nil {
		p.forget(c)
		return nil, exceptionf(codeUnknown, "The embedded engine refuses another connection")
	}
	c.handle = (*unsafe.Pointer)(handle)
	if err := c.configure(database, settings); err != nil {
		c.close()
		p.forget(c)
		return nil, err
	}
	return c, nil
}

func (p *pool) forget(c *conn) {
	p.mu.Lock()
	delete(p.busy, c)
	p.mu.Unlock()
}

// give takes a connection back. A spoilt one is closed, and so is the longest
// idle one when more are idle than may be in use.
func (p *pool) give(c *conn) {
	p.mu.Lock()
	var drop *conn
	if c.spoilt {
		drop = c
	} else {
		p.idle = append(p.idle, c)
		if len(p.idle) > cap(p.slots) {
			drop = p.idle[0]
			p.idle = slices.Delete(p.idle, 0, 1)
		}
	}
	p.mu.Unlock()
	if drop != nil {
		drop.close()
	}
	p.forget(c)
	<-p.slots
}

// refuse takes no more queries.
func (p *pool) refuse() { p.shut.Do(func() { close(p.over) }) }

// close refuses new queries and waits for those in flight, as long as ctx
// lasts; it may be called again.
func (p *pool) close(ctx context.Context) error {
	p.refuse()
	if p.done {
		return nil
	}
	for i := range cap(p.slots) {
		select {
		case p.slots <- struct{}{}:
		case <-ctx.Done():
			for range i {
				<-p.slots
			}
			return ctx.Err()
		}
	}
	for _, c := range p.idle {
		c.close()
	}
	p.idle, p.done = nil, true
	return nil
}

func errClosing() error { return exceptionf(codeAborted, "The embedded engine is closing") }

// running counts the connections in use.
func (p *pool) running() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.busy)
}

// configurationKey is the same for two configurations only if they are the
// same: every part is preceded by its length.
func configurationKey(database string, settings []setting) string {
	var b strings.Builder
	part := func(s string) { b.WriteString(strconv.Itoa(len(s)) + ":" + s) }
	part(database)
	for _, s := range settings {
		part(s.name)
		part(s.value)
	}
	return b.String()
}
