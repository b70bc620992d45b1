package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"golang.org/x/sync/errgroup"
)

const (
	// billed is the carrier that is billed by the request. So its requests are counted, and what the bare SDK can do is
	// measured beside it.
	billed = "sqs"

	// sqsRegion does not matter: ElasticMQ accepts all.
	sqsRegion = "us-east-1"
	// sqsBatch is the most messages that SQS accepts in a request.
	sqsBatch = 10
	// sqsParallel is how many requests of each kind the adapter has under way at most.
	sqsParallel = 8
	// sqsFailures is how many polls may fail of those that go one after the other.
	sqsFailures = 3
	// sqsConns is how many connections the adapter keeps.
	sqsConns = 64
)

// sqsBody is what the program sends for submitBody, with an id and a time of its own.
var sqsBody = `{"correlation_id":"01a20a76-9b4e-77d0-a46b-3c51d18c53ad","timestamp":"2026-11-23T22:11:14.894Z",` +
	`"payload":` + string(payload) + `,"headers":{"Content-Type":"application/json"},` +
	`"metadata":{"endpoint":"b","timeout":259200}}`

// ceiling is what SQS can do at most: as many messages by the SDK alone, in the requests that the adapter makes.
type ceiling struct {
	Send []sample `json:"send"`
	Take []sample `json:"receive_and_delete"`
	Both []sample `json:"both_at_once"`
}

// bareRound takes one sample of everything that is measured of the SDK alone; nil: nothing is.
func (b *bench) bareRound(f *ceiling) error {
	if f == nil {
		return nil
	}
	waiting, both := b.nextName(), b.nextName()
	return errors.Join(
		keep(&f.Send, func() (sample, error) { return b.bareSDK(roleAPI, waiting) }),
		keep(&f.Take, func() (sample, error) { return b.bareSDK(roleWorker, waiting) }),
		keep(&f.Both, func() (sample, error) { return b.bareSDK(roleAll, both) }),
	)
}

func (b *bench) bareSDK(role, queue string) (sample, error) {
	broker, err := b.startBroker(carrierOf(billed))
	if err != nil {
		return sample{}, err
	}
	p, err := b.startChild("ceiling", "http://"+broker.address, queue, role, strconv.Itoa(b.requests))
	if err != nil {
		return sample{}, err
	}
	return b.finished(p, &store{broker: broker})
}

// bareCalls sends messages to a queue, takes them out of it, or both, and makes the queue if it is not there.
type bareCalls struct {
	client *sqs.Client
	url    string
	n      int64
}

// ceilingChild is what runs in a process of its own.
func ceilingChild(args []string) error {
	if len(args) != 4 {
		return errors.New("ceiling ENDPOINT QUEUE ROLE N")
	}
	n, err := strconv.ParseInt(args[3], 10, 64)
	if err != nil {
		return err
	}
	c := bareCalls{n: n, client: sqs.New(sqs.Options{
		Region: sqsRegion, BaseEndpoint: &args[0], Retryer: aws.NopRetryer{},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "bench", SecretAccessKey: "bench"}, nil
		}),
		HTTPClient: &http.Client{Transport: &http.Transport{MaxIdleConns: sqsConns, MaxIdleConnsPerHost: sqsConns}},
	})}
	made, err := c.client.CreateQueue(context.Background(), &sqs.CreateQueueInput{QueueName: &args[1]})
	if err != nil {
		return err
	}
	c.url = aws.ToString(made.QueueUrl)
	fmt.Fprintln(os.Stderr, `{"address":"none"}`)
	work, ctx := errgroup.WithContext(context.Background())
	if args[2] != roleWorker {
		work.Go(func() error { return c.send(ctx) })
	}
	if args[2] != roleAPI {
		work.Go(func() error { return c.take(ctx) })
	}
	return work.Wait()
}

// send sends all messages in full requests.
func (c *bareCalls) send(ctx context.Context) error {
	var left atomic.Int64
	left.Store(c.n)
	return inParallel(ctx, func(ctx context.Context) error {
		for {
			n := min(sqsBatch, left.Add(-sqsBatch)+sqsBatch)
			if n <= 0 {
				return nil
			}
			entries := make([]types.SendMessageBatchRequestEntry, n)
			for i := range entries {
				entries[i] = types.SendMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), MessageBody: &sqsBody}
			}
			answer, err := c.client.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: &c.url, Entries: entries})
			if err != nil {
				return err
			}
			if len(answer.Failed) > 0 {
				return errors.New("sqs refused a message")
			}
		}
	})
}

// take receives and deletes all messages. Both are under way at the same time, as in the adapter.
func (c *bareCalls) take(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	received := make(chan []types.Message, sqsParallel)
	var left atomic.Int64
	left.Store(c.n)
	work, ctx := errgroup.WithContext(ctx)
	work.Go(func() error {
		return inParallel(ctx, func(ctx context.Context) error { return c.receive(ctx, received) })
	})
	work.Go(func() error {
		return inParallel(ctx, func(ctx context.Context) error {
			for {
				select {
				case some := <-received:
					if err := c.remove(ctx, some); err != nil {
						return err
					}
					if left.Add(-int64(len(some))) <= 0 {
						cancel() // what still polls
					}
				case <-ctx.Done():
					return nil
				}
			}
		})
	})
	if err := work.Wait(); left.Load() > 0 {
		return err
	}
	return nil
}

// receive asks for messages until ctx ends. As in the adapter a poll that fails is not the end: what it would have
// brought comes again when its visibility is over.
func (c *bareCalls) receive(ctx context.Context, to chan<- []types.Message) error {
	for failed := 0; ; {
		answer, err := c.client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
			QueueUrl: &c.url, MaxNumberOfMessages: sqsBatch, VisibilityTimeout: 30, WaitTimeSeconds: 20,
			MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameSentTimestamp},
			MessageAttributeNames:       []string{"openhqm-encoding"},
		})
		if err != nil {
			if failed++; failed > sqsFailures || ctx.Err() != nil {
				return err
			}
			continue
		}
		if len(answer.Messages) == 0 {
			continue
		}
		select {
		case to <- answer.Messages:
		case <-ctx.Done():
			return nil
		}
	}
}

func (c *bareCalls) remove(ctx context.Context, some []types.Message) error {
	entries := make([]types.DeleteMessageBatchRequestEntry, len(some))
	for i := range some {
		entries[i] = types.DeleteMessageBatchRequestEntry{
			Id: aws.String(strconv.Itoa(i)), ReceiptHandle: some[i].ReceiptHandle,
		}
	}
	answer, err := c.client.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: &c.url, Entries: entries})
	if err == nil && len(answer.Failed) > 0 {
		err = errors.New("sqs did not delete a message")
	}
	return err
}

func inParallel(ctx context.Context, work func(context.Context) error) error {
	all, ctx := errgroup.WithContext(ctx)
	for range sqsParallel {
		all.Go(func() error { return work(ctx) })
	}
	return all.Wait()
}
