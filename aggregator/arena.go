package aggregator

import "strings"

// chunks is a list that grows without copying: what next returned stays where it is.
type chunks[T any] struct{ all [][]T }

// The least and the greatest chunk, in elements. A batch of one event takes little, and one of many few pieces.
const (
	chunkMin = 4
	chunkMax = 256
)

// next adds a zero element and returns it.
func (c *chunks[T]) next() *T {
	n := len(c.all)
	if n == 0 || len(c.all[n-1]) == cap(c.all[n-1]) {
		size := chunkMin
		if n > 0 {
			size = min(2*cap(c.all[n-1]), chunkMax)
		}
		c.all = append(c.all, make([]T, 0, size))
		n++
	}
	last := c.all[n-1]
	last = last[:len(last)+1]
	c.all[n-1] = last
	return &last[len(last)-1]
}

// len is how many elements there are.
func (c *chunks[T]) len() int {
	n := 0
	for _, chunk := range c.all {
		n += len(chunk)
	}
	return n
}

// appendTo appends all elements, in their order.
func (c *chunks[T]) appendTo(to []T) []T {
	for _, chunk := range c.all {
		to = append(to, chunk...)
	}
	return to
}

// texts packs short texts into few allocations, of which the garbage collector has nothing to read.
type texts struct{ b strings.Builder }

// The least and the greatest allocation of texts, in bytes.
const (
	textsMin = 1 << 10
	textsMax = 64 << 10
)

// add returns a copy of p.
func (t *texts) add(p []byte) string {
	if t.b.Cap()-t.b.Len() < len(p) {
		size := max(len(p), textsMin, min(2*t.b.Cap(), textsMax))
		t.b = strings.Builder{} // what it held lives on in the texts
		t.b.Grow(size)
	}
	start := t.b.Len()
	t.b.Write(p)
	return t.b.String()[start:]
}
