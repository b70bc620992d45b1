package redis

import (
	"github.com/openhqm/openhqm/adapters/redis/internal/codec"
	"github.com/openhqm/openhqm/adapters/redis/internal/script"
	"github.com/openhqm/openhqm/domain"
)

// news tells other parts of this process at once what it has just done, so that they need not ask Redis.
type news struct {
	final, buried, ready chan struct{} // a result, dead letter or handover may be due in the outbox
	observe              func(domain.Record)
}

func newNews(observe func(domain.Record)) *news {
	return &news{make(chan struct{}, 1), make(chan struct{}, 1), make(chan struct{}, 1), observe}
}

// signal wakes whoever waits on the channel.
func signal(wake chan<- struct{}) {
	select {
	case wake <- struct{}{}:
	default: // it is not awake yet since the last signal
	}
}

// ended announces that this process made a request final.
func (n *news) ended(s *codec.State) {
	signal(n.final)
	if s.Status.DeadLettered() {
		signal(n.buried)
	}
	if n.observe != nil {
		n.observe(s.WithResult())
	}
}

// endedIn calls ended with the record in a script's answer, if there is one.
func (n *news) endedIn(id domain.ID, answer script.Answer) {
	if state, found, err := stateIn(id, answer); err == nil && found {
		n.ended(&state)
	}
}

// endedAll is ended with every record that an answer lists as ended.
func (n *news) endedAll(answer script.Answer) {
	for _, row := range answer.Rows("ended") {
		state := script.Row{Names: codec.StateFields, Values: row.List("state")}
		if s, found, err := codec.ReadState(domain.ID(row.Text("id")), state); err == nil && found {
			n.ended(&s)
		}
	}
}
