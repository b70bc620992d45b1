// Package exchange connects other programs, whatever the broker: their requests and results come in, and notices go out
// to them. Each use-case is a loop that moves messages at least once between a broker and the store, and settles, or
// marks as done, only what is saved or published.
package exchange

import (
	"context"
	"errors"

	"github.com/openhqm/openhqm/domain/outage"
	"github.com/openhqm/openhqm/ports"
)

// Bounds of one Receive: all of it is in memory at once, with what is made of it.
const (
	receiveCount = 64
	receiveBytes = 16 << 20
)

// save saves messages. The errors are aligned, and what has one is tried again.
type save func(ctx context.Context, received []ports.Received) []error

// receive saves and settles what the source hands out, until ctx ends. It returns an error when the source is closed
// before.
func receive(ctx context.Context, source ports.Receiver, save save) error {
	var pause outage.Backoff
	for ctx.Err() == nil {
		received, err := source.Receive(ctx, receiveCount, receiveBytes)
		switch {
		case len(received) > 0:
			pause.Reset()
			saveAll(ctx, source, received, save)
		case ctx.Err() != nil:
		case errors.Is(err, ports.ErrClosed):
			return err
		default:
			pause.Wait(ctx)
		}
	}
	return nil
}

// saveAll saves messages, again and again where it fails. When ctx ends it leaves the rest to another process, but does
// not cut off what it has begun.
func saveAll(ctx context.Context, source ports.Receiver, left []ports.Received, save save) {
	var pause outage.Backoff
	for {
		left = saveSome(context.WithoutCancel(ctx), source, left, save)
		if len(left) == 0 || !pause.Wait(ctx) {
			return
		}
	}
}

// saveSome saves and settles messages once. It returns those that were not saved.
func saveSome(ctx context.Context, source ports.Receiver, all []ports.Received, save save) (left []ports.Received) {
	var saved []ports.Ticket
	for i, err := range save(ctx, all) {
		if err == nil {
			saved = append(saved, all[i].Ticket)
		} else {
			left = append(left, all[i])
		}
	}
	if len(saved) > 0 {
		source.Settle(saved)
	}
	return left
}
