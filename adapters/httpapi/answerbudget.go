package httpapi

import (
	"context"
	"encoding/base64"
	"errors"
	"time"

	"golang.org/x/sync/semaphore"
)

const (
	// smallAnswer is the size, in bytes, up to which a response or request needs no room in the budget.
	smallAnswer = 64 << 10

	// answerPatience is how long a client waits for room, before it gets a 503 with Retry-After instead.
	answerPatience = 5 * time.Second
)

var errNoAnswerRoom = errors.New("no memory left for another large result")

// answerBudget bounds the memory of all large answers. Each is held until its client has read it.
type answerBudget struct {
	total int64 // bytes
	free  *semaphore.Weighted
}

func newAnswerBudget(total int64) *answerBudget {
	return &answerBudget{total: total, free: semaphore.NewWeighted(total)}
}

// inDocument returns the room, in bytes, that a document with so much content needs. The content is in memory twice: as
// loaded, and in the document, where base64 makes it a third larger.
func inDocument(content int64) int64 {
	return content + int64(base64.StdEncoding.EncodedLen(int(content)))
}

// acquire blocks until there is room for content of this size, at most for answerPatience. Call it before the content
// is loaded, and release when the answer is written. Content larger than the budget gets all of it. Errors:
// errNoAnswerRoom, or that of ctx when it has ended.
func (b *answerBudget) acquire(ctx context.Context, content, room int64) (release func(), err error) {
	if content <= smallAnswer {
		return func() {}, nil
	}
	room = min(room, b.total)
	waiting, cancel := context.WithTimeout(ctx, answerPatience)
	defer cancel()
	if b.free.Acquire(waiting, room) == nil {
		return func() { b.free.Release(room) }, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return nil, errNoAnswerRoom
}
