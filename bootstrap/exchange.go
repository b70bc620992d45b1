package bootstrap

import (
	"context"
	"log/slog"
	"time"

	"github.com/openhqm/openhqm/adapters/httpapi"
	"github.com/openhqm/openhqm/application/exchange"
	"github.com/openhqm/openhqm/configs"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/envelope"
	"github.com/openhqm/openhqm/ports"
)

// exchangeStore keeps the requests, and the notices of them that are owed.
type exchangeStore interface {
	ports.ForeignIntake
	ports.Outcomes

	Outbox(kind ports.NoticeKind) ports.Outbox
}

// exchanging is what this process exchanges with other programs.
type exchanging struct {
	config configs.Config
	broker ports.Exchanger
	store  exchangeStore
	native bool // no carrier: workers do not see foreign requests in the broker, and it needs no handovers
	logger *slog.Logger
}

// loops makes the loops that the configuration asks for.
func (e exchanging) loops() (background, error) {
	queue := &e.config.Queue
	var b background
	for _, l := range []struct {
		name string
		run  bool
		make func() (func(context.Context) error, error)
	}{
		{"foreign requests", e.native && e.config.Role != configs.RoleAPI, e.requestsIn},
		{"foreign results", queue.HandsOver(), e.resultsIn},
		{"notices of results", queue.Responses != "", e.resultsOut},
		{"notices of dead letters", queue.DeadLetters != "", e.deadLettersOut},
		{"handovers", !e.native && queue.HandsOver(), e.handoversOut},
	} {
		if !l.run {
			continue
		}
		run, err := l.make()
		if err != nil {
			return background{}, err
		}
		b.Loops = append(b.Loops, backgroundLoop{l.name, run})
	}
	return b, nil
}

func (e exchanging) requestsIn() (func(context.Context) error, error) {
	source, err := e.broker.Inlet(context.Background(), e.config.Queue.Requests)
	if err != nil {
		return nil, err
	}
	return exchange.NewRequestsIn(source, e.store, foreignReader(e.config, e.logger)).Run, nil
}

func (e exchanging) resultsIn() (func(context.Context) error, error) {
	source, err := e.broker.Inlet(context.Background(), e.config.Queue.ResultsIn)
	if err != nil {
		return nil, err
	}
	return exchange.NewResultsIn(source, e.store, exchange.ResultsInOptions{
		MaxSize: messageSize(e.config.Proxy.MaxResponseSize), Now: time.Now, Logger: e.logger,
	}).Run, nil
}

func (e exchanging) resultsOut() (func(context.Context) error, error) {
	outlet, err := e.broker.Outlet(context.Background(), e.config.Queue.Responses)
	if err != nil {
		return nil, err
	}
	return exchange.NewResultsOut(e.store.Outbox(ports.NoticeResult), outlet, e.noticeOptions()).Run, nil
}

func (e exchanging) deadLettersOut() (func(context.Context) error, error) {
	outlet, err := e.broker.Outlet(context.Background(), e.config.Queue.DeadLetters)
	if err != nil {
		return nil, err
	}
	return exchange.NewDeadLettersOut(e.store.Outbox(ports.NoticeDeadLetter), outlet, e.noticeOptions()).Run, nil
}

func (e exchanging) handoversOut() (func(context.Context) error, error) {
	outlet, err := e.broker.Outlet(context.Background(), e.config.Queue.Requests)
	if err != nil {
		return nil, err
	}
	outbox := e.store.Outbox(ports.NoticeHandover)
	return exchange.NewHandoversOut(outbox, outlet, e.store, e.noticeOptions()).Run, nil
}

func (e exchanging) noticeOptions() exchange.NoticesOutOptions {
	public := e.config.Server.PublicURL
	return exchange.NoticesOutOptions{
		ResultURL:     func(id domain.ID) string { return httpapi.ResultURL(public, id) },
		DeadLetterURL: func(id domain.ID) string { return httpapi.LetterURL(public, id) },
		Now:           time.Now,
		Logger:        e.logger,
	}
}

// foreignReader reads messages of requests that other programs may have written.
func foreignReader(config configs.Config, logger *slog.Logger) *exchange.Reader {
	return exchange.NewReader(envelope.Reader{
		DefaultEndpoint: defaultEndpoint(config),
		MaxAge:          config.Request.MaxAge,
		MaxSize:         messageSize(config.Server.MaxBodySize),
	}, time.Now, logger)
}

// messageSize is the size of the largest message in bytes: a body in base64 (RFC 4648 section 4) and what is around it.
func messageSize(body configs.ByteSize) int { return int(body)/3*4 + aroundBody }

// aroundBody is room for header fields and metadata at their limits.
const aroundBody = 512 << 10
