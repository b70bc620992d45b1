package sqs_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/sqs"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
	"github.com/openhqm/openhqm/tests/testkit"
)

// admin is a client beside ours.
func admin(tb testing.TB, endpoint string) *awssqs.Client {
	tb.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	tb.Cleanup(transport.CloseIdleConnections)
	return awssqs.New(awssqs.Options{
		Region: "eu-central-1", BaseEndpoint: &endpoint, HTTPClient: &http.Client{Transport: transport},
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
}

func makeQueue(tb testing.TB, client *awssqs.Client, name string, attributes map[string]string) (url string) {
	tb.Helper()
	made, err := client.CreateQueue(tb.Context(), &awssqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
	require.NoError(tb, err)
	return *made.QueueUrl
}

// remove deletes a queue.
func remove(tb testing.TB, endpoint, name string) {
	tb.Helper()
	client := admin(tb, endpoint)
	found, err := client.GetQueueUrl(tb.Context(), &awssqs.GetQueueUrlInput{QueueName: &name})
	require.NoError(tb, err)
	_, err = client.DeleteQueue(tb.Context(), &awssqs.DeleteQueueInput{QueueUrl: found.QueueUrl})
	require.NoError(tb, err)
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		give func(*sqs.Options)
		want string
	}{
		{"no name", func(o *sqs.Options) { o.Queue = "" }, "1 to 80"},
		{"a name that is too long", func(o *sqs.Options) { o.HighQueue = strings.Repeat("a", 81) }, "1 to 80"},
		{"a FIFO queue", func(o *sqs.Options) { o.Queue = "requests.fifo" }, "drops repeats"},
		{"a retention that is too long", func(o *sqs.Options) { o.Retention = 15 * 24 * time.Hour }, "at most 336h0m0s"},
		{"a lease that is too long", func(o *sqs.Options) { o.Visibility = 13 * time.Hour }, "queue.lease"},
		{"a lease that SQS cannot count", func(o *sqs.Options) { o.Visibility = 1500 * time.Millisecond }, "whole seconds"},
		{"an endpoint that holds a secret", func(o *sqs.Options) { o.Endpoint = "http://me:s3cret@sqs" }, "sqs.endpoint"},
		{"an endpoint that is none", func(o *sqs.Options) { o.Endpoint = "localhost:9324" }, "sqs.endpoint"},
		{"nobody listens", func(*sqs.Options) {}, "connection refused"},
	}
	refused := testkit.NewPort(t).Address
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			opts := options(t, "http://"+refused)
			tt.give(&opts)
			_, err := sqs.Open(t.Context(), opts)
			require.ErrorContains(t, err, tt.want)
			require.NotContains(t, err.Error(), "s3cret")
		})
	}
}

func TestAnOutletMustBeAStandardQueue(t *testing.T) {
	t.Parallel()
	_, err := open(t, options(t, testkit.SharedSQS(t).URL)).Outlet(t.Context(), "results.fifo")
	require.ErrorContains(t, err, "FIFO")
}

func TestOpenNamesTheServiceThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	silent := testkit.NewPort(t)
	listener := silent.Listen()
	t.Cleanup(func() { require.NoError(t, listener.Close()) })
	opts, logged := options(t, "http://"+silent.Address), &testkit.LogBuffer{}
	opts.Logger = logged.Logger()
	_, err := sqs.Open(t.Context(), opts)
	require.ErrorContains(t, err, silent.Address)
	require.ErrorContains(t, err, "no answer in time")
	require.Empty(t, logged.String(), "whoever starts has the error, and will not try again")
}

// TestWhatIsMissingAtTheStartIsNoOutage has a queue that is not known for a while after it was made, as AWS says of its
// own.
func TestWhatIsMissingAtTheStartIsNoOutage(t *testing.T) {
	t.Parallel()
	opts, w, logged := options(t, testkit.SharedSQS(t).URL), newWire(), &testkit.LogBuffer{}
	opts.HTTPClient, opts.Logger = client(t, w), logged.Logger()
	w.inject(func(action, _ string) *http.Response {
		if action == "GetQueueAttributes" && w.count(action) <= 2 {
			return refusal(http.StatusBadRequest, "QueueDoesNotExist")
		}
		return nil
	})
	q := open(t, opts)
	require.Equal(t, 2, w.count("CreateQueue"), "one for each lane")
	require.NoError(t, q.Probe(t.Context()))
	_, err := q.Inlet(t.Context(), opts.Queue+"-results")
	require.NoError(t, err)
	require.Empty(t, logged.String())
}

func TestAMissingQueueIsNotMadeWhereThatIsOff(t *testing.T) {
	t.Parallel()
	opts := options(t, testkit.SharedSQS(t).URL)
	opts.CreateQueues = false
	_, err := sqs.Open(t.Context(), opts)
	require.ErrorContains(t, err, opts.Queue)
	require.ErrorContains(t, err, "sqs.create_queues is off")
}

// TestRefusalsAreNamed has the answers of AWS: no emulator looks at credentials or policies.
func TestRefusalsAreNamed(t *testing.T) {
	t.Parallel()
	tests := []struct {
		give   string
		status int
		want   string
	}{
		{"InvalidClientTokenId", http.StatusForbidden, "does not accept these credentials"},
		{"SignatureDoesNotMatch", http.StatusForbidden, "does not accept these credentials"},
		{"ExpiredToken", http.StatusForbidden, "expired"},
		{"AccessDeniedException", http.StatusBadRequest, "permission sqs:CreateQueue"},
	}
	for _, tt := range tests {
		t.Run(tt.give, func(t *testing.T) {
			t.Parallel()
			opts, w := options(t, testkit.SharedSQS(t).URL), newWire()
			opts.HTTPClient = client(t, w)
			w.inject(func(action, _ string) *http.Response {
				if action == "CreateQueue" {
					return refusal(tt.status, tt.give)
				}
				return nil
			})
			_, err := sqs.Open(t.Context(), opts)
			require.ErrorContains(t, err, tt.want)
			require.ErrorContains(t, err, opts.Queue)
			require.ErrorContains(t, err, opts.Endpoint)
			require.NotContains(t, err.Error(), "no-such-secret")
		})
	}
}

// TestWhatAQueueIsLikeCounts is on Moto: ElasticMQ tells neither retention nor the size of messages.
func TestWhatAQueueIsLikeCounts(t *testing.T) {
	t.Parallel()
	endpoint := testkit.StartMoto(t).URL
	client := admin(t, endpoint)
	opts := options(t, endpoint)
	makeQueue(t, client, opts.Queue, map[string]string{string(types.QueueAttributeNameMessageRetentionPeriod): "3600"})
	_, err := sqs.Open(t.Context(), opts)
	require.ErrorContains(t, err, "1h0m0s (MessageRetentionPeriod), which must be at least 96h0m0s")
	require.ErrorContains(t, err, opts.Queue)

	opts = options(t, endpoint)
	dead := makeQueue(t, client, "dead", nil)
	answer, err := client.GetQueueAttributes(t.Context(), &awssqs.GetQueueAttributesInput{
		QueueUrl: &dead, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameQueueArn},
	})
	require.NoError(t, err)
	arn := answer.Attributes[string(types.QueueAttributeNameQueueArn)]
	makeQueue(t, client, opts.Queue, map[string]string{
		string(types.QueueAttributeNameMessageRetentionPeriod): "1209600",
		string(types.QueueAttributeNameMaximumMessageSize):     "2000",
		string(types.QueueAttributeNameRedrivePolicy):          `{"deadLetterTargetArn":"` + arn + `","maxReceiveCount":"3"}`,
	})
	logged := &testkit.LogBuffer{}
	opts.Logger = logged.Logger()
	q := open(t, opts)
	require.Contains(t, q.Details()["queue "+opts.Queue], "redrive policy")
	require.Equal(t, 1, strings.Count(logged.String(), "redrive policy"), logged.String())
	require.Contains(t, logged.String(), "level=WARN")
	require.Contains(t, logged.String(), "queue="+opts.Queue+" max_receive_count=3")
	require.Len(t, q.Details(), 1)
	sent := messages(domain.LaneLow, 2)
	sent[0].Value = make([]byte, 1500) // base64 of that is larger
	errs := q.Publish(t.Context(), sent)
	require.ErrorIs(t, errs[0], ports.ErrTooLarge)
	require.NoError(t, errs[1])

	opts = options(t, endpoint)
	q = open(t, opts)
	found, err := client.GetQueueUrl(t.Context(), &awssqs.GetQueueUrlInput{QueueName: aws.String(opts.Queue + "-high")})
	require.NoError(t, err)
	answer, err = client.GetQueueAttributes(t.Context(), &awssqs.GetQueueAttributesInput{
		QueueUrl: found.QueueUrl, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll},
	})
	require.NoError(t, err)
	require.Equal(t, "345600", answer.Attributes["MessageRetentionPeriod"])
	require.Empty(t, q.Details())
}

func TestForeignMessagesArriveAsTheyAre(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, options func() sqs.Options) {
		opts := options()
		q, client := open(t, opts), admin(t, opts.Endpoint)
		found, err := client.GetQueueUrl(t.Context(), &awssqs.GetQueueUrlInput{QueueName: &opts.Queue})
		require.NoError(t, err)
		sent := []awssqs.SendMessageInput{
			{MessageBody: aws.String(`{"payload": {"n": 1}}`)},
			{MessageBody: aws.String("bm8gYmFzZTY0IG9mIG91cnM=")},
			{
				MessageBody: aws.String("no base64"),
				MessageAttributes: map[string]types.MessageAttributeValue{
					"openhqm-encoding": {DataType: aws.String("String"), StringValue: aws.String("base64")},
					"other":            {DataType: aws.String("Number"), StringValue: aws.String("1")},
				},
			},
		}
		var want []string
		for _, in := range sent {
			in.QueueUrl = found.QueueUrl
			_, err := client.SendMessage(t.Context(), &in)
			require.NoError(t, err)
			want = append(want, *in.MessageBody)
		}
		got := receive(t, q, len(sent))
		require.ElementsMatch(t, want, values(got))
		settle(q, got...)
		settled(t, q)
	})
}
