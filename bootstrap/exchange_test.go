package bootstrap

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/ports"
)

// exchangeFake has every outlet, inlet and outbox, or fails.
type exchangeFake struct {
	exchangeStore

	err   error
	names []string // of its outlets and inlets
}

func (f *exchangeFake) Outlet(_ context.Context, name string) (ports.Publisher, error) {
	f.names = append(f.names, "to "+name)
	return nil, f.err
}

func (f *exchangeFake) Inlet(_ context.Context, name string) (ports.Receiver, error) {
	f.names = append(f.names, "from "+name)
	return nil, f.err
}

func (f *exchangeFake) Outbox(ports.NoticeKind) ports.Outbox { return nil }

func TestARoleRunsWhatItExchanges(t *testing.T) {
	t.Parallel()
	type flags = map[string]string
	for name, tt := range map[string]struct {
		give      flags
		carrier   bool
		want      []string
		wantNames []string
	}{
		"all": {want: []string{"foreign requests"}, wantNames: []string{"from openhqm-requests"}},
		"worker": {
			give: flags{"role": "worker"},
			want: []string{"foreign requests"}, wantNames: []string{"from openhqm-requests"},
		},
		"api": {give: flags{"role": "api"}},
		"api for foreign workers": {
			give: flags{"role": "api", "queue.results_in": "r"},
			want: []string{"foreign results"}, wantNames: []string{"from r"},
		},
		"worker that tells of results": {
			give: flags{"role": "worker", "queue.responses": "r"},
			want: []string{"foreign requests", "notices of results"}, wantNames: []string{"from openhqm-requests", "to r"},
		},
		"api that tells of dead letters": {
			give: flags{"role": "api", "queue.dead_letters": "d"},
			want: []string{"notices of dead letters"}, wantNames: []string{"to d"},
		},
		"all with a carrier": {carrier: true},
		"api for foreign workers of a carrier": {
			carrier: true, give: flags{"role": "api", "queue.results_in": "r", "queue.responses": "s"},
			want:      []string{"foreign results", "notices of results", "handovers"},
			wantNames: []string{"from r", "to s", "to openhqm-requests"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			given := flags{"queue.type": "redis"}
			maps.Copy(given, tt.give)
			fake := &exchangeFake{}
			e := exchanging{config: load(t, given), broker: fake, store: fake, native: !tt.carrier}
			e.brokers = &brokers{start: t.Context(), front: new(front), opening: newOpening()}
			made, err := e.loops()
			require.NoError(t, err)
			var got []string
			for _, l := range made.Loops {
				got = append(got, l.name)
			}
			require.Equal(t, tt.want, got)
			require.Equal(t, tt.wantNames, fake.names)
			out := slices.DeleteFunc(got, func(name string) bool { return strings.HasPrefix(name, "foreign") })
			require.Len(t, made.Owed, len(out), "a metric for each outbox")
			require.Len(t, made.Probes, min(len(out), 1), "one component of health for all")

			fake.err = errors.New("no such stream")
			_, err = e.loops()
			if len(tt.want) > 0 {
				require.ErrorIs(t, err, fake.err)
			}
		})
	}
}
