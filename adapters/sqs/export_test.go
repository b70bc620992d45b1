package sqs

import "time"

// SetLongPoll sets how long SQS is to wait for messages, in whole seconds.
func SetLongPoll(opts *Options, d time.Duration) { opts.longPoll = d }

// SetLifetime sets for how long a hand-out can be extended.
func SetLifetime(opts *Options, d time.Duration) { opts.lifetime = d }

// SetEmptyFor sets for how long the queues must be empty before a mark has passed.
func SetEmptyFor(opts *Options, d time.Duration) { opts.emptyFor = d }

// MaxAhead is how many messages of a lane are read ahead at most, with those of the last answers.
const MaxAhead = maxAhead + maxBatch
