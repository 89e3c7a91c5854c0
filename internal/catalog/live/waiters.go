package live

import (
	"errors"
	"sync"

	"reckoner/internal/catalog"
)

// waiters are the changes of this process whose decisions nobody has heard yet.
type waiters struct {
	mu    sync.Mutex
	slots map[string]slot // by the change's id
	ended error           // nobody reads on
}

type slot struct {
	w     *waiter
	index int
}

// waiter is a writer that waits for the decisions on its changes.
type waiter struct {
	all       *waiters
	changes   []catalog.Change
	decisions []catalog.Decision
	missing   int
	done      chan struct{} // closed when none is missing, or nobody reads on
}

var errNoReader = errors.New("the catalog is no longer followed by this process")

// await begins to listen. It is called before the changes are written; the caller must stop the waiter.
func (ws *waiters) await(changes []catalog.Change) (*waiter, error) {
	w := &waiter{
		all: ws, changes: changes, decisions: make([]catalog.Decision, len(changes)), missing: len(changes), done: make(chan struct{}),
	}
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.ended != nil {
		return nil, errors.Join(errNoReader, ws.ended)
	}
	if ws.slots == nil {
		ws.slots = map[string]slot{}
	}
	for i := range changes {
		ws.slots[changes[i].ID] = slot{w, i}
	}
	return w, nil
}

// tell hands decisions to those who wait for them. That of a copy is none: the first one's is what counts.
func (ws *waiters) tell(decisions []catalog.Decision) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if len(ws.slots) == 0 {
		return
	}
	for _, d := range decisions {
		s, ok := ws.slots[d.Change]
		if !ok || d.Result == catalog.Copy {
			continue
		}
		delete(ws.slots, d.Change)
		s.w.decisions[s.index] = d
		if s.w.missing--; s.w.missing == 0 {
			close(s.w.done)
		}
	}
}

// abandon ends all waiting.
func (ws *waiters) abandon(why error) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.ended = why
	for _, s := range ws.slots {
		if s.w.missing > 0 {
			s.w.missing = 0
			close(s.w.done)
		}
	}
	ws.slots = nil
}

// stop ends the waiting, and returns the decisions that were heard. One that was not has no Change.
func (w *waiter) stop() []catalog.Decision {
	w.all.mu.Lock()
	defer w.all.mu.Unlock()
	for i := range w.changes {
		if s, ok := w.all.slots[w.changes[i].ID]; ok && s.w == w {
			delete(w.all.slots, w.changes[i].ID)
		}
	}
	return w.decisions
}
