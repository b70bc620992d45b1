package redis

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/openhqm/openhqm/adapters/redis/internal/codec"
	"github.com/openhqm/openhqm/adapters/redis/internal/script"
	"github.com/openhqm/openhqm/adapters/redis/internal/server"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

const (
	maxListed  = 2000 // dead letters that one page looks at in a shard, however few of them match
	listedStep = 100  // of them in one round trip
)

// DeadLetters is what Redis keeps of requests that failed. It implements ports.DeadLetters.
type DeadLetters struct{ server *server.Server }

var _ ports.DeadLetters = DeadLetters{}

// List merges the lists of the shards.
func (l DeadLetters) List(ctx context.Context, filter ports.DeadLetterFilter) (ports.DeadLetterPage, error) {
	if !l.server.Enter() {
		return ports.DeadLetterPage{}, ports.ErrClosed
	}
	defer l.server.Leave()
	var letters []domain.DeadLetter
	var seen ports.DeadLetterPlace // up to here every shard was looked at; zero: to its end
	for _, s := range l.server.Shards {
		part, err := l.listShard(ctx, s, filter)
		if err != nil {
			return ports.DeadLetterPage{}, err
		}
		letters = append(letters, part.Letters...)
		if behind(seen, part.Next) {
			seen = part.Next
		}
	}
	slices.SortFunc(letters, func(a, b domain.DeadLetter) int { return compare(placeOf(&a), placeOf(&b)) })
	page := ports.DeadLetterPage{Letters: letters, Next: seen}
	page.Letters = slices.DeleteFunc(letters, func(d domain.DeadLetter) bool { return behind(placeOf(&d), seen) })
	if len(page.Letters) > filter.Limit {
		page.Letters = page.Letters[:filter.Limit]
		page.Next = placeOf(&page.Letters[filter.Limit-1])
	}
	return page, nil
}

func placeOf(d *domain.DeadLetter) ports.DeadLetterPlace {
	return ports.DeadLetterPlace{FailedAt: d.FailedAt, ID: d.ID}
}

// compare sorts as lists are sorted: newest first, then by id, descending.
func compare(a, b ports.DeadLetterPlace) int {
	return cmp.Or(b.FailedAt.Compare(a.FailedAt), cmp.Compare(b.ID, a.ID))
}

// behind reports whether place comes after other in a list; the zero place is behind all others here.
func behind(place, other ports.DeadLetterPlace) bool {
	switch {
	case other.FailedAt.IsZero():
		return false
	case place.FailedAt.IsZero():
		return true
	default:
		return compare(place, other) > 0
	}
}

// listShard returns what a shard has for a page. Its Next is how far it has looked, zero when to its end.
func (l DeadLetters) listShard(
	ctx context.Context, s *server.Shard, filter ports.DeadLetterFilter,
) (ports.DeadLetterPage, error) {
	var page ports.DeadLetterPage
	place := filter.Before
	for range maxListed / listedStep {
		places, err := l.places(ctx, s, place)
		if err != nil {
			return page, err
		}
		letters, err := l.read(ctx, s, places)
		if err != nil {
			return page, err
		}
		for i, letter := range letters {
			if letter != nil && matches(filter, letter) {
				page.Letters = append(page.Letters, *letter)
			}
			if place = places[i]; len(page.Letters) == filter.Limit {
				page.Next = place
				return page, nil
			}
		}
		if len(places) < listedStep {
			return page, nil
		}
	}
	page.Next = place
	return page, nil
}

func matches(filter ports.DeadLetterFilter, d *domain.DeadLetter) bool {
	return (filter.Endpoint == "" || filter.Endpoint == d.Endpoint) &&
		(filter.Reason == "" || filter.Reason == d.Reason)
}

// places returns the next places of a shard's list after a place, at most listedStep; fewer at the end.
func (l DeadLetters) places(
	ctx context.Context, s *server.Shard, after ports.DeadLetterPlace,
) ([]ports.DeadLetterPlace, error) {
	newest, moment := "+inf", codec.Millis(after.FailedAt)
	if !after.FailedAt.IsZero() {
		newest = strconv.FormatInt(moment, 10)
	}
	var places []ports.DeadLetterPlace
	// Of the same millisecond there may be many that were listed before.
	for offset := int64(0); ; offset += listedStep {
		some, err := l.server.Client.ZRevRangeByScoreWithScores(ctx, s.LettersKey(), &redis.ZRangeBy{
			Min: "-inf", Max: newest, Offset: offset, Count: listedStep,
		}).Result()
		if err != nil {
			return nil, server.Translate(err)
		}
		for _, z := range some {
			id, at := fmt.Sprint(z.Member), int64(z.Score)
			if newest != "+inf" && at == moment && id >= string(after.ID) {
				continue
			}
			if len(places) < listedStep {
				places = append(places, ports.DeadLetterPlace{FailedAt: time.UnixMilli(at).UTC(), ID: domain.ID(id)})
			}
		}
		if len(places) == listedStep || len(some) < listedStep {
			return places, nil
		}
	}
}

// read reads the dead letters at the places, nil for those whose lifetime has just ended.
func (l DeadLetters) read(
	ctx context.Context, s *server.Shard, places []ports.DeadLetterPlace,
) ([]*domain.DeadLetter, error) {
	if len(places) == 0 {
		return nil, nil
	}
	pipe := l.server.Client.Pipeline()
	answers := make([]*redis.SliceCmd, len(places))
	for i, place := range places {
		answers[i] = pipe.HMGet(ctx, s.LetterKey(place.ID), codec.LetterFields...)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, server.Translate(err)
	}
	letters := make([]*domain.DeadLetter, len(places))
	for i, place := range places {
		letter, err := codec.ReadLetter(place.ID, script.Row{Names: codec.LetterFields, Values: answers[i].Val()})
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ports.ErrUnavailable, err)
		}
		letters[i] = letter
	}
	return letters, nil
}

// State reads one without its original.
func (l DeadLetters) State(ctx context.Context, id domain.ID) (domain.DeadLetter, error) {
	return l.search(ctx, id, codec.LetterFields, codec.ReadLetter)
}

// Find reads one with its original.
func (l DeadLetters) Find(ctx context.Context, id domain.ID) (domain.DeadLetter, error) {
	return l.search(ctx, id, codec.WholeLetterFields, codec.ReadWholeLetter)
}

// search looks in the shards for the fields of a dead letter, and reads them.
func (l DeadLetters) search(
	ctx context.Context, id domain.ID, fields []string, read func(domain.ID, script.Row) (*domain.DeadLetter, error),
) (domain.DeadLetter, error) {
	if !l.server.Enter() {
		return domain.DeadLetter{}, ports.ErrClosed
	}
	defer l.server.Leave()
	for _, s := range l.server.Searched(id) {
		values, err := l.server.Client.HMGet(ctx, s.LetterKey(id), fields...).Result()
		if err != nil {
			return domain.DeadLetter{}, server.Translate(err)
		}
		letter, err := read(id, script.Row{Names: fields, Values: values})
		switch {
		case err != nil:
			return domain.DeadLetter{}, fmt.Errorf("%w: %w", ports.ErrUnavailable, err)
		case letter != nil:
			return *letter, nil
		}
	}
	return domain.DeadLetter{}, ports.ErrNotFound
}

// Delete removes one from the shard that has it.
func (l DeadLetters) Delete(ctx context.Context, id domain.ID) error {
	if !l.server.Enter() {
		return ports.ErrClosed
	}
	defer l.server.Leave()
	for _, s := range l.server.Searched(id) {
		var deleted *redis.IntCmd
		_, err := l.server.Client.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
			deleted = pipe.Del(ctx, s.LetterKey(id))
			pipe.ZRem(ctx, s.LettersKey(), string(id))
			return nil
		})
		if err != nil {
			return server.Translate(err)
		}
		if deleted.Val() == 1 {
			return nil
		}
	}
	return ports.ErrNotFound
}
