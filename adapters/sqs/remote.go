package sqs

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/openhqm/openhqm/adapters/carrier"
	"github.com/openhqm/openhqm/ports"
)

// remote is one queue of the service.
type remote struct {
	link    *link
	name    string
	url     string       // the same for as long as the name and the account are
	limit   atomic.Int64 // bytes of a message
	redrive atomic.Bool  // it takes messages away from those who receive them often

	recreating sync.Mutex
	recreated  time.Time // when recreate last tried; guarded by recreating
	broken     error     // what it got; guarded by recreating
}

// queueName is what SQS lets a standard queue be named.
var queueName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`)

func checkName(name string) error {
	switch {
	case strings.HasSuffix(name, ".fifo"):
		return fmt.Errorf("queue %q: a FIFO queue drops repeats within 5 minutes and blocks messages behind one "+
			"that is handled: name a standard queue", name)
	case !queueName.MatchString(name):
		return fmt.Errorf("queue %q: the name must be 1 to 80 of A-Z a-z 0-9 _ -", name)
	}
	return nil
}

// open finds a queue, or makes it, and looks whether it will do. The errors are those of ports. They are for whoever
// starts, who does not go on: none of them is logged as an outage.
func (l *link) open(ctx context.Context, name string) (*remote, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	r := &remote{link: l, name: name}
	if err := r.ensure(ctx); err != nil {
		return nil, fmt.Errorf("open sqs at %s: queue %q: %w", l.where(), name, err)
	}
	return r, nil
}

func (r *remote) ensure(ctx context.Context) error {
	found, err := ask(ctx, r.link, carrier.CallTimeout, r.link.api.GetQueueUrl, &sqs.GetQueueUrlInput{QueueName: &r.name})
	var answer map[string]string
	switch {
	case err == nil:
		r.url = aws.ToString(found.QueueUrl)
		answer, err = r.attributes(ctx, traits...)
	case !missing(err):
	case !r.link.opts.CreateQueues:
		return fmt.Errorf("%w, and sqs.create_queues is off", about(err))
	default:
		if err := r.create(ctx); err != nil {
			return err
		}
		answer, err = r.attributesOfNew(ctx)
	}
	if err != nil {
		return about(err)
	}
	return r.inspect(answer)
}

// attributesOfNew waits until a queue is known that was just made, which may take a second (CreateQueue in the API
// reference of Amazon SQS).
func (r *remote) attributesOfNew(ctx context.Context) (map[string]string, error) {
	backoff := carrier.NewBackoff()
	for {
		answer, err := r.attributes(ctx, traits...)
		if !missing(err) || !backoff.Wait(ctx) {
			return answer, err
		}
	}
}

// create makes the queue. Several processes may do so at once: they ask for the same, and all get it.
func (r *remote) create(ctx context.Context) error {
	made, err := ask(ctx, r.link, carrier.CallTimeout, r.link.api.CreateQueue, &sqs.CreateQueueInput{
		QueueName: &r.name,
		Attributes: map[string]string{
			string(types.QueueAttributeNameMessageRetentionPeriod): inSeconds(r.link.opts.Retention),
			string(types.QueueAttributeNameVisibilityTimeout):      inSeconds(r.link.opts.Visibility),
		},
	})
	if err != nil {
		return about(err)
	}
	if url := aws.ToString(made.QueueUrl); url != r.url { // read without a lock when the queue is made again
		r.url = url
	}
	return nil
}

func inSeconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10) // rounded up
}

// traits are the attributes that say whether a queue will do.
var traits = []types.QueueAttributeName{
	types.QueueAttributeNameMessageRetentionPeriod, types.QueueAttributeNameMaximumMessageSize,
	types.QueueAttributeNameRedrivePolicy,
}

// inspect looks whether the queue will do, and notes what it is like.
func (r *remote) inspect(answer map[string]string) error {
	retention := time.Duration(number(answer, types.QueueAttributeNameMessageRetentionPeriod)) * time.Second
	if retention > 0 && retention < r.link.opts.Retention { // some servers other than AWS do not say, and delete nothing
		return fmt.Errorf("it keeps messages for %s (MessageRetentionPeriod), which must be at least %s",
			retention, r.link.opts.Retention)
	}
	r.learn(answer)
	var policy struct {
		Target string `json:"deadLetterTargetArn"` //nolint:tagliatelle // the name is theirs
		Most   any    `json:"maxReceiveCount"`     //nolint:tagliatelle // likewise; a number, or one in a string
	}
	_ = json.Unmarshal([]byte(answer[string(types.QueueAttributeNameRedrivePolicy)]), &policy) // mostly there is none
	r.redrive.Store(policy.Target != "")
	if policy.Target != "" {
		r.link.opts.Logger.Warn("a queue has a redrive policy, which takes away messages received often; remove it",
			"queue", r.name, "max_receive_count", policy.Most)
	}
	return nil
}

// learn notes the largest message that the queue takes. Where SQS does not say, it is the
// limit that every queue once had.
func (r *remote) learn(answer map[string]string) {
	r.limit.Store(cmp.Or(number(answer, types.QueueAttributeNameMaximumMessageSize), usualLimit))
}

func number(answer map[string]string, name types.QueueAttributeName) int64 {
	n, _ := strconv.ParseInt(answer[string(name)], 10, 64) // they are numbers
	return n
}

// attributes asks for some. The error is the client's.
func (r *remote) attributes(ctx context.Context, names ...types.QueueAttributeName) (map[string]string, error) {
	answer, err := ask(ctx, r.link, carrier.CallTimeout, r.link.api.GetQueueAttributes,
		&sqs.GetQueueAttributesInput{QueueUrl: &r.url, AttributeNames: names})
	if err != nil {
		return nil, err
	}
	return answer.Attributes, nil
}

// recreateEvery is how often a missing queue is made again at most.
const recreateEvery = time.Second

var errMissing = fmt.Errorf("%w: the queue is gone, and sqs.create_queues is off", ports.ErrRefused)

// recreate makes a queue again that has gone, if we may.
func (r *remote) recreate(ctx context.Context) error {
	r.recreating.Lock()
	defer r.recreating.Unlock()
	now := r.link.opts.Now()
	if !r.recreated.IsZero() && now.Sub(r.recreated) < recreateEvery {
		return r.broken
	}
	r.recreated, r.broken = now, errMissing
	if r.link.opts.CreateQueues {
		r.broken = r.create(ctx)
	}
	if r.broken != nil {
		r.link.report(ctx, r.broken)
	} else {
		r.link.opts.Logger.Error("a queue was deleted; created it again, without its messages", "queue", r.name)
	}
	return r.broken
}
