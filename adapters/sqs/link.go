package sqs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go/logging"

	"github.com/openhqm/openhqm/adapters/carrier"
	"github.com/openhqm/openhqm/domain/outage"
	"github.com/openhqm/openhqm/ports"
)

// maxConns is how many connections are kept: for all polls, sends, deletions and extensions of two lanes.
const maxConns = 64

// link is what everything shares that speaks to one account and region.
type link struct {
	opts   Options
	api    *sqs.Client
	http   *http.Client
	outage *outage.Log
	denied *outage.Refusals

	ctx    context.Context // ends when Close begins
	cancel context.CancelFunc
	calls  context.Context // of all calls; ends carrier.ClosePatience later
	cut    context.CancelFunc
	loops  sync.WaitGroup // goroutines that send
}

// checkEndpoint refuses what is no place for a secret.
func checkEndpoint(endpoint string) error {
	if endpoint == "" {
		return nil
	}
	at, err := url.Parse(endpoint)
	if err != nil || at.Host == "" || at.User != nil || at.Scheme != "http" && at.Scheme != "https" {
		return errors.New("sqs.endpoint must be an http or https URL without a user")
	}
	return nil
}

// CheckRegion returns an error if Open could not find a region, or could not read the configuration of AWS. An empty
// region is looked for where AWS tools look. It reads files, and does not use the network.
func CheckRegion(region string) error {
	_, err := loadSettings(context.Background(), Options{Region: region})
	return err
}

// loadSettings reads the configuration of AWS.
func loadSettings(ctx context.Context, opts Options) (aws.Config, error) {
	load := []func(*config.LoadOptions) error{config.WithLogger(logging.Nop{})}
	if opts.Region != "" {
		load = append(load, config.WithRegion(opts.Region))
	}
	if c := opts.Credentials; c != (Credentials{}) {
		provider := credentials.NewStaticCredentialsProvider(c.KeyID, c.Secret, "")
		load = append(load, config.WithCredentialsProvider(provider))
	}
	settings, err := config.LoadDefaultConfig(ctx, load...)
	switch {
	case err != nil:
		return settings, fmt.Errorf("read the configuration of AWS: %w", err)
	case settings.Region == "":
		return settings, errors.New("sqs.region is empty, and neither AWS_REGION nor a profile names one")
	}
	return settings, nil
}

func newLink(ctx context.Context, opts Options) (*link, error) {
	settings, err := loadSettings(ctx, opts)
	if err != nil {
		return nil, fmt.Errorf("open sqs: %w", err)
	}
	l := &link{
		opts:   opts,
		outage: &outage.Log{Name: "sqs", Logger: opts.Logger, Now: opts.Now},
		denied: &outage.Refusals{Name: "sqs", Logger: opts.Logger, Now: opts.Now},
	}
	l.opts.Region = settings.Region
	// Not at the first call: having none is a mistake of the configuration, while a service that is away passes.
	if _, err := settings.Credentials.Retrieve(ctx); err != nil {
		return nil, fmt.Errorf("open sqs at %s: %w: no credentials: %w", l.where(), ports.ErrRefused, err)
	}
	if l.http = opts.HTTPClient; l.http == nil {
		l.http = newHTTPClient(settings)
	}
	l.api = sqs.NewFromConfig(settings, func(o *sqs.Options) {
		o.HTTPClient, o.Retryer = l.http, aws.NopRetryer{}
		if opts.Endpoint != "" {
			o.BaseEndpoint = aws.String(opts.Endpoint)
		}
	})
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.calls, l.cut = context.WithCancel(context.Background())
	return l, nil
}

// newHTTPClient makes a client that trusts what the configuration of AWS says (AWS_CA_BUNDLE).
func newHTTPClient(settings aws.Config) *http.Client {
	built, ok := settings.HTTPClient.(*awshttp.BuildableClient)
	if !ok {
		built = awshttp.NewBuildableClient()
	}
	transport := built.GetTransport() // a copy, of which we can close the connections
	transport.DialContext = (&net.Dialer{Timeout: carrier.DialTimeout}).DialContext
	transport.TLSHandshakeTimeout = carrier.DialTimeout
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost = maxConns, maxConns
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// where names the service.
func (l *link) where() string { return cmp.Or(l.opts.Endpoint, "the region "+l.opts.Region) }

// close ends what is under way, and waits for it.
func (l *link) close() {
	l.cancel()
	cutting := time.AfterFunc(carrier.ClosePatience, l.cut)
	l.loops.Wait()
	cutting.Stop()
	l.cut()
	l.http.CloseIdleConnections()
}

// operation is a method of the client.
type operation[In, Out any] func(context.Context, *In, ...func(*sqs.Options)) (*Out, error)

// ask makes one call, with a deadline, whose caller reports how it ended. It ends early when ctx does, and when closing
// takes too long. The error is the client's.
func ask[In, Out any](
	ctx context.Context, l *link, timeout time.Duration, do operation[In, Out], in *In,
) (*Out, error) {
	calling, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	defer context.AfterFunc(l.calls, cancel)()
	return do(calling, in)
}

// request is ask that notes how the call ended.
func request[In, Out any](ctx context.Context, l *link, do operation[In, Out], in *In) (*Out, error) {
	return requestFor(ctx, l, carrier.CallTimeout, do, in)
}

// requestFor is request with another deadline.
func requestFor[In, Out any](
	ctx context.Context, l *link, timeout time.Duration, do operation[In, Out], in *In,
) (*Out, error) {
	out, err := ask(ctx, l, timeout, do, in)
	if !missing(err) && !forbidden(err) { // recreating the queue decides about the one, and refusals note the other
		l.report(ctx, about(err))
	}
	return out, err
}

// report notes how a call ended. What its caller or Close cut off says nothing about SQS.
func (l *link) report(ctx context.Context, err error) {
	if ctx.Err() == nil && l.ctx.Err() == nil {
		l.denied.Expire()
		l.outage.Report(err)
	}
}
