package kafka_test

import (
	"crypto/tls"
	"os"
	"strings"
	"testing"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/kafka"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/tests/testkit"
)

// documentedRights returns the operations that README.md allows a user on what an option of kafka-acls.sh names.
func documentedRights(t *testing.T, option string) []kafkago.ACLOperationType {
	t.Helper()
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	_, command, found := strings.Cut(string(readme), option+" openhqm- ")
	require.True(t, found, "README.md has no such command")
	command, _, _ = strings.Cut(command, "\n")
	var rights []kafkago.ACLOperationType
	for name := range strings.FieldsSeq(strings.ReplaceAll(command, "--operation", "")) {
		var right kafkago.ACLOperationType
		require.NoError(t, right.UnmarshalText([]byte(name)))
		rights = append(rights, right)
	}
	return rights
}

func TestTheREADMEHasTheRightsThatAreTested(t *testing.T) {
	t.Parallel()
	require.ElementsMatch(t, []kafkago.ACLOperationType{
		kafkago.ACLOperationTypeDescribe, kafkago.ACLOperationTypeCreate, kafkago.ACLOperationTypeDescribeConfigs,
		kafkago.ACLOperationTypeWrite, kafkago.ACLOperationTypeRead,
	}, documentedRights(t, "--topic"))
	require.Equal(t, []kafkago.ACLOperationType{kafkago.ACLOperationTypeRead}, documentedRights(t, "--group"))
}

// requireLeastRights checks that the rights in README.md are enough, and that none of them can be left out.
func requireLeastRights(t *testing.T, opts kafka.Options) {
	t.Helper()
	grant := func(kind kafkago.ResourceType, name string, operation kafkago.ACLOperationType) {
		allow(t, opts.Brokers, opts.TLS, kafkago.ACLEntry{
			ResourceType: kind, ResourceName: name, ResourcePatternType: kafkago.PatternTypePrefixed,
			Principal: "User:" + opts.SASL.Username, Operation: operation,
		})
	}
	opens := func(missing string) {
		t.Helper()
		until(t, "nothing but this is missing: "+missing, func() bool {
			q, err := kafka.Open(t.Context(), opts)
			if missing == "" {
				return err == nil && q.Close() == nil
			}
			require.ErrorContains(t, err, "permission ")
			require.NotContains(t, err.Error(), opts.SASL.Password)
			return strings.Contains(err.Error(), missing)
		})
	}
	opens("permission DESCRIBE of the topic")
	grant(kafkago.ResourceTypeTopic, opts.Topic, kafkago.ACLOperationTypeDescribe)
	opens("permission CREATE of the topic")
	for _, operation := range []kafkago.ACLOperationType{
		kafkago.ACLOperationTypeCreate, kafkago.ACLOperationTypeDescribeConfigs,
	} {
		grant(kafkago.ResourceTypeTopic, opts.Topic, operation)
	}
	opens("")

	q := open(t, opts)
	sent := messages(domain.LaneLow, 20)
	for _, err := range q.Publish(t.Context(), sent) {
		require.ErrorContains(t, err, "does not allow this user to use the topic")
	}
	grant(kafkago.ResourceTypeTopic, opts.Topic, kafkago.ACLOperationTypeWrite)
	until(t, "messages may be written", func() bool { return q.Publish(t.Context(), sent[:1])[0] == nil })
	publish(t, q, sent[1:])
	until(t, "the log says that the group may not be used", func() bool {
		err := q.Probe(t.Context())
		return err != nil && strings.Contains(err.Error(), "does not allow this user to use the group")
	})
	grant(kafkago.ResourceTypeGroup, opts.Group, kafkago.ACLOperationTypeRead)
	grant(kafkago.ResourceTypeTopic, opts.Topic, kafkago.ACLOperationTypeRead)
	got := receive(t, q, len(sent))
	require.ElementsMatch(t, sentIDs(sent), ids(got))
	settle(q, got...)
	settled(t, q)
	healthy(t, q)
}

// allow adds an entry to the access control list.
func allow(t *testing.T, brokers []string, config *tls.Config, entry kafkago.ACLEntry) {
	t.Helper()
	client := admin(t, brokers)
	transport := &kafkago.Transport{TLS: config, SASL: plain.Mechanism{
		Username: testkit.KafkaAdmin, Password: testkit.KafkaUsers[testkit.KafkaAdmin],
	}}
	t.Cleanup(transport.CloseIdleConnections)
	client.Transport = transport
	entry.Host, entry.PermissionType = "*", kafkago.ACLPermissionTypeAllow
	answer, err := client.CreateACLs(t.Context(), &kafkago.CreateACLsRequest{ACLs: []kafkago.ACLEntry{entry}})
	require.NoError(t, err)
	require.NoError(t, answer.Errors[0])
}
