package httpapi

import (
	"context"
	"encoding/base64"
	"errors"
	"time"

	"golang.org/x/sync/semaphore"
)

const (
	// smallAnswer is the size in bytes of a response or request that is shown without taking room in the budget.
	smallAnswer = 64 << 10

	// answerPatience is how long a client waits for room. Then it is better told when to come again.
	answerPatience = 5 * time.Second
)

var errNoAnswerRoom = errors.New("too many large results are being read")

// answerBudget bounds the memory of large answers together: each is held for as long as its client takes to read it.
type answerBudget struct {
	total int64 // bytes
	free  *semaphore.Weighted
}

func newAnswerBudget(total int64) *answerBudget {
	return &answerBudget{total: total, free: semaphore.NewWeighted(total)}
}

// inDocument is the room, in bytes, to show so much content in a document. It is there twice: as it was loaded, and in
// the document, where base64 makes it a third larger.
func inDocument(content int64) int64 {
	return content + int64(base64.StdEncoding.EncodedLen(int(content)))
}

// acquire blocks until there is so much room to show content of so many bytes, at most for answerPatience. It comes
// before the content is loaded; release comes when the answer is written. What would never fit takes all the room there
// is. Errors: errNoAnswerRoom; that of ctx when it has ended.
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
