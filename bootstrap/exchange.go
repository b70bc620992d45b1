package bootstrap

import (
	"context"
	"log/slog"
	"time"

	"go.uber.org/fx"

	"github.com/openhqm/openhqm/adapters/httpapi"
	"github.com/openhqm/openhqm/adapters/telemetry"
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
	config    configs.Config
	endpoints ports.Endpoints
	broker    ports.Exchanger
	store     exchangeStore
	native    bool // no carrier: workers do not see foreign requests in the broker, and it needs no handovers

	brokers *brokers
	logger  *slog.Logger
}

// inlet opens an inlet, as soon as the broker is there.
func (e exchanging) inlet(name string) (ports.Receiver, error) {
	return await(e.brokers, "queue", func(ctx context.Context) (ports.Receiver, error) {
		return e.broker.Inlet(ctx, name)
	})
}

// outlet opens an outlet, as soon as the broker is there.
func (e exchanging) outlet(name string) (ports.Publisher, error) {
	return await(e.brokers, "queue", func(ctx context.Context) (ports.Publisher, error) {
		return e.broker.Outlet(ctx, name)
	})
}

// exchanged is what runs, and how operators see it.
type exchanged struct {
	fx.Out

	Loops  []backgroundLoop `group:"background,flatten"`
	Probes []probe          `group:"probes,flatten"`
	Owed   []owed           `group:"owed,flatten"`
}

// owed is an outbox and what it is called in metrics.
type owed struct {
	kind   string
	outbox ports.Outbox
}

// notices adds the component "notices" to /health: all kinds together.
type notices []*exchange.NoticesOut

// Probe returns what the first kind returns that is in trouble.
func (n notices) Probe(ctx context.Context) error {
	for _, out := range n {
		if err := out.Probe(ctx); err != nil {
			return err
		}
	}
	return nil
}

// loops makes the loops that the configuration asks for.
func (e exchanging) loops() (exchanged, error) {
	var x exchanged
	if err := e.in(&x); err != nil {
		return exchanged{}, err
	}
	return x, e.out(&x)
}

// in adds what reads from other programs.
func (e exchanging) in(x *exchanged) error {
	for _, l := range []struct {
		name string
		run  bool
		make func() (func(context.Context) error, error)
	}{
		{"foreign requests", e.native && e.config.Role != configs.RoleAPI, e.requestsIn},
		{"foreign results", e.config.Queue.HandsOver(), e.resultsIn},
	} {
		if !l.run {
			continue
		}
		run, err := l.make()
		if err != nil {
			return err
		}
		x.Loops = append(x.Loops, backgroundLoop{l.name, run})
	}
	return nil
}

// out adds what publishes notices.
func (e exchanging) out(x *exchanged) error {
	queue := &e.config.Queue
	handsOver := ""
	if !e.native && queue.HandsOver() {
		handsOver = queue.Requests
	}
	var all notices
	for _, l := range []struct {
		name, kind, to string // empty to: there are none
		notice         ports.NoticeKind
		make           func(ports.Outbox, ports.Publisher, exchange.NoticesOutOptions) *exchange.NoticesOut
	}{
		{"notices of results", "results", queue.Responses, ports.NoticeResult, exchange.NewResultsOut},
		{"notices of dead letters", "dead_letters", queue.DeadLetters, ports.NoticeDeadLetter, exchange.NewDeadLettersOut},
		{"handovers", "handovers", handsOver, ports.NoticeHandover, e.newHandovers},
	} {
		if l.to == "" {
			continue
		}
		outlet, err := e.outlet(l.to)
		if err != nil {
			return err
		}
		outbox := e.store.Outbox(l.notice)
		out := l.make(outbox, outlet, e.noticeOptions(l.to))
		all = append(all, out)
		x.Loops = append(x.Loops, backgroundLoop{l.name, out.Run})
		x.Owed = append(x.Owed, owed{l.kind, outbox})
	}
	if len(all) > 0 {
		x.Probes = []probe{{"notices", all}}
	}
	return nil
}

func (e exchanging) newHandovers(
	outbox ports.Outbox, outlet ports.Publisher, opts exchange.NoticesOutOptions,
) *exchange.NoticesOut {
	return exchange.NewHandoversOut(outbox, outlet, e.store, opts)
}

// watchNotices adds the notices that wait to the metrics.
func watchNotices(metrics *telemetry.Metrics, in owedInput) {
	outboxes := make(map[string]ports.Outbox, len(in.Owed))
	for _, one := range in.Owed {
		outboxes[one.kind] = one.outbox
	}
	metrics.WatchNotices(outboxes)
}

type owedInput struct {
	fx.In

	Owed []owed `group:"owed"`
}

func (e exchanging) requestsIn() (func(context.Context) error, error) {
	source, err := e.inlet(e.config.Queue.Requests)
	if err != nil {
		return nil, err
	}
	return exchange.NewRequestsIn(source, e.store, foreignReader(e.config, e.endpoints, e.logger)).Run, nil
}

func (e exchanging) resultsIn() (func(context.Context) error, error) {
	source, err := e.inlet(e.config.Queue.ResultsIn)
	if err != nil {
		return nil, err
	}
	return exchange.NewResultsIn(source, e.store, exchange.ResultsInOptions{
		MaxSize: messageSize(e.config.Proxy.MaxResponseSize), Now: time.Now, Logger: e.logger,
	}).Run, nil
}

func (e exchanging) noticeOptions(to string) exchange.NoticesOutOptions {
	public := e.config.Server.PublicURL
	return exchange.NoticesOutOptions{
		To:            to,
		ResultURL:     func(id domain.ID) string { return httpapi.ResultURL(public, id) },
		DeadLetterURL: func(id domain.ID) string { return httpapi.LetterURL(public, id) },
		Now:           time.Now,
		Logger:        e.logger,
	}
}

// foreignReader reads messages of requests that other programs may have written.
func foreignReader(config configs.Config, endpoints ports.Endpoints, logger *slog.Logger) *exchange.Reader {
	return exchange.NewReader(func() envelope.Reader {
		return envelope.Reader{
			DefaultEndpoint: endpoints.Load().Default,
			MaxAge:          config.Request.MaxAge,
			MaxSize:         messageSize(config.Server.MaxBodySize),
		}
	}, time.Now, logger)
}

// messageSize is the size of the largest message in bytes: a body in base64 (RFC 4648 section 4) and what is around it.
func messageSize(body configs.ByteSize) int { return int(body)/3*4 + aroundBody }

// aroundBody is room for header fields and metadata at their limits.
const aroundBody = 512 << 10
