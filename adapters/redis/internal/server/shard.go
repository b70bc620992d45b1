package server

import (
	"hash/fnv"
	"strconv"

	"github.com/openhqm/openhqm/domain"
)

// Shard is a queue and store of its own. All of its keys begin with Key, whose hash tag keeps them on one node of a
// Cluster. That of the first shard is the queue's name alone, so the stream of that name is there too. See prelude.lua
// for the keys.
type Shard struct {
	Clock

	Number int
	Key    string
}

// tagSeparator stands between name and number. No name contains it, so no shard is another queue's.
const tagSeparator = "/"

func newShards(queue string, n int) []*Shard {
	shards := make([]*Shard, max(n, 1))
	for i := range shards {
		shards[i] = &Shard{Number: i, Key: "{" + queue + tagSeparator + strconv.Itoa(i) + "}"}
	}
	shards[0].Key = "{" + queue + "}"
	return shards
}

// RecordKey returns the key of the hash that is the record.
func (s *Shard) RecordKey(id domain.ID) string { return s.Key + ":r:" + string(id) }

// LetterKey returns the key of the hash that is the dead letter.
func (s *Shard) LetterKey(id domain.ID) string { return s.Key + ":d:" + string(id) }

// HeldKey returns the key of the hash that is an idempotency key in use, by the name that IdempotencyKey returns.
func (s *Shard) HeldKey(name string) string { return s.Key + ":k:" + name }

// LettersKey returns the key of the sorted set of the dead letters.
func (s *Shard) LettersKey() string { return s.Key + ":dead" }

// CarriedKey and LentKey return the keys of the sorted sets of requests that a carrier has: those that wait to be
// begun, and those that are begun.
func (s *Shard) CarriedKey() string { return s.Key + ":carried" }

// LeasesKey returns the key of the sorted set of begun requests, by the millisecond their lease ends.
func (s *Shard) LeasesKey() string { return s.Key + ":leases" }

// LentKey is described with CarriedKey.
func (s *Shard) LentKey() string { return s.Key + ":lent" }

// WakeUpKey returns the key of the list that wakes workers for an endpoint, or with "" for endpoints that are new.
func (s *Shard) WakeUpKey(endpoint string) string { return s.Key + ":bell:" + endpoint }

// EndpointsKey returns the key of the set of endpoints that have streams.
func (s *Shard) EndpointsKey() string { return s.Key + ":endpoints" }

// StreamKey returns the key of the stream of a queue with a lane and an endpoint.
func (s *Shard) StreamKey(queue string) string { return s.Key + ":q:" + queue }

// FinalChannel returns the channel with the ids of requests that become final.
func (s *Shard) FinalChannel() string { return s.Key + ":final" }

// Home returns the shard that a new request goes to. One with an idempotency key goes where that key is, so that both
// are one step.
func (s *Server) Home(r *domain.Request) *Shard {
	if r.Idempotency != nil {
		return s.ShardOf(IdempotencyKey(r))
	}
	return s.ShardOf(string(r.ID))
}

// ShardOf returns the shard that a string is hashed to.
func (s *Server) ShardOf(key string) *Shard {
	if len(s.Shards) == 1 {
		return s.Shards[0]
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(key)) // never fails
	return s.Shards[h.Sum32()%uint32(len(s.Shards))]
}

// Searched returns the shards in the order in which to search them for a request: those with an idempotency key are not
// where their id says.
func (s *Server) Searched(id domain.ID) []*Shard {
	first := s.ShardOf(string(id))
	shards := make([]*Shard, 0, len(s.Shards))
	shards = append(shards, first)
	for _, shard := range s.Shards {
		if shard != first {
			shards = append(shards, shard)
		}
	}
	return shards
}

// Places returns the shards to search for the record of a request that may have none. The last of them is the one to
// make it in.
func (s *Server) Places(r *domain.Request) []*Shard {
	home := s.Home(r)
	if r.Idempotency != nil || len(s.Shards) == 1 {
		return []*Shard{home}
	}
	return append(s.Searched(r.ID), home)
}

// IdempotencyKey returns the caller's key in the scope of its owner; the length keeps ab+c apart from a+bc.
func IdempotencyKey(r *domain.Request) string {
	return strconv.Itoa(len(r.Owner)) + ":" + r.Owner + ":" + r.Idempotency.Key
}
