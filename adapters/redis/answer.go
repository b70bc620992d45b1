package redis

import (
	"fmt"
	"strconv"

	"github.com/openhqm/openhqm/adapters/redis/internal/script"
	"github.com/openhqm/openhqm/ports"
)

// The answers of scripts are lists. What a script of ours does not give reads as zero.

func text(answer []any, i int) string {
	if i >= len(answer) {
		return ""
	}
	v, _ := answer[i].(string)
	return v
}

func list(answer []any, i int) []any {
	if i >= len(answer) {
		return nil
	}
	v, _ := answer[i].([]any)
	return v
}

// texts reads a list of strings.
func texts(answer []any, i int) []string {
	items := list(answer, i)
	out := make([]string, len(items))
	for i := range items {
		out[i] = text(items, i)
	}
	return out
}

// number reads an integer, or one in decimal.
func number(answer []any, i int) int64 {
	if i >= len(answer) {
		return 0
	}
	if n, ok := answer[i].(int64); ok {
		return n
	}
	n, _ := strconv.ParseInt(text(answer, i), 10, 64)
	return n
}

// unexpected is the error for an answer that no script of this version returns.
func unexpected(answer script.Answer) error {
	return fmt.Errorf("%w: unexpected answer %q from a script in redis", ports.ErrUnavailable, answer.Word())
}

// result gives the answer, or the error; gaveUp is that of those without either.
func (o *op) result(gaveUp error) (script.Answer, error) {
	select {
	case <-o.done:
		return o.answer, o.err
	default:
		return nil, gaveUp
	}
}
