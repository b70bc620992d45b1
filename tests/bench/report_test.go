package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRatiosAreTakenRoundByRound(t *testing.T) {
	t.Parallel()
	// The machine was ten times slower in the second round, and in the last one only for the floor.
	floor := []sample{{CPU: 1}, {CPU: 10}, {CPU: 10}}
	other := []sample{{CPU: 1}, {CPU: 10}, {CPU: 10}}
	ours := []sample{{CPU: 2, Redis: 1}, {CPU: 20, Redis: 10}, {CPU: 2, Redis: 1}}

	require.InDelta(t, 2, ratio(cpu, ours, floor), 1e-9)
	require.InDelta(t, 1, ratio(cpu, ours, floor, other), 1e-9)
	require.InDelta(t, 3, ratio(whole, ours, floor), 1e-9)
}

func TestTheReportComparesWhatWasMeasured(t *testing.T) {
	t.Parallel()
	row := func(rate, cpu, redis float64) []sample { return []sample{{Rate: rate, CPU: cpu, Redis: redis}} }
	onBoth := []sample{{Rate: 3, CPU: 0.45, Redis: 0.2, Broker: 0.125}}
	once := func(name string, redis bool) *measured {
		return &measured{
			Name: name, system: &system{name: name, redis: redis},
			Submit: row(8, 0.15, 0), Worker: row(8, 0.3, 0.1), EndToEnd: row(4, 0.4, 0.2),
			Idle: &idle{RedisCommands: 12}, Latency: &latency{Rate: 50}, Waiting: &waiting{Waiting: 9, Many: sample{Rate: 4}},
		}
	}
	f := figures{
		Gin: row(30, 0.1, 0), Post: row(20, 0.2, 0),
		Systems: []*measured{once(embedded, false), once(onRedis, true)},
	}
	tests := []struct {
		name string
		bare *ceiling
		more []*measured
		want []string
		not  []string
	}{
		{
			name: "ours alone",
			want: []string{
				"1.50 x the bare handler (1.6)", "1.50 x the bare handler (1.5)", "1.50 x the bare POST (1.7)\n",
				"1.33 x both floors (1.6)", "12.0 commands a second", "with a round's requests waiting 8/s: 0.50 x (0.8)",
			},
			not: []string{"asynq", "0.1250", "SDK", "SQS"},
		},
		{
			name: "with kafka",
			more: []*measured{{
				Name: "kafka", system: &system{name: "kafka", redis: true, carrier: carrierOf("kafka")},
				Submit: onBoth, Worker: onBoth, EndToEnd: onBoth,
				Idle: &idle{BrokerCPUPercent: 2.5}, Latency: &latency{Rate: 50},
			}},
			want: []string{
				"0.2000    0.1250  4.50 x the bare handler (1.9)\n", "1.50 x both floors; 0.75 x redis's rate (0.6)\n",
				"and kafka meanwhile: 2.50 % of a core",
			},
		},
		{
			name: "with a broker that is billed by the request",
			bare: &ceiling{Send: row(9, 0.02, 0), Take: row(7, 0.03, 0), Both: row(4, 0.05, 0)},
			more: []*measured{{
				Name: billed, system: &system{name: billed, redis: true, carrier: carrierOf(billed), counted: true},
				Submit: onBoth, Worker: onBoth, EndToEnd: onBoth, Latency: &latency{Rate: 50},
				Calls: map[string]float64{"SendMessageBatch": 0.125, "ReceiveMessage": 0.25},
				Idle:  &idle{Requests: map[string]float64{"ReceiveMessage": 6}, BrokerCPUPercent: 2.5},
			}},
			want: []string{
				"bare SDK: all (ceiling)              4    0.0500",
				"0.75 x the bare SDK's rate (0.8), 0.67 x the time of both that and redis (1.25)\n",
				"asked 0.38 times for a request (0.45): ReceiveMessage 0.25, SendMessageBatch 0.12\n",
				"asked 6 times a minute: ReceiveMessage 6.00\n", "and elasticmq meanwhile: 2.50 % of a core",
			},
		},
		{
			name: "with the other one",
			more: []*measured{{
				Name: onAsynq, Submit: row(9, 0.2, 0.1), Worker: row(4, 0.6, 0.2), EndToEnd: row(2, 0.8, 0.4),
			}},
			want: []string{
				"1.50 x the bare POST (1.7); 0.50 x asynq's (0.33)\n",
				"2.00 x asynq's rate (2.5) at 0.50 x its CPU, Redis included (0.45)\n", "3.00 x the bare POST\n",
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			whole := f
			whole.Ceiling = tt.bare
			whole.Systems = append(append([]*measured(nil), f.Systems...), tt.more...)
			var text strings.Builder
			whole.print(&text)
			for _, want := range tt.want {
				require.Contains(t, text.String(), want)
			}
			for _, not := range tt.not {
				require.NotContains(t, text.String(), not)
			}
		})
	}
}
