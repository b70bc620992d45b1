package ports_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/ports"
)

func TestAllowanceFits(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		credit  ports.Credit
		charged []int64
		give    int64
		want    bool
	}{
		{"a first delivery of any size", ports.Credit{Count: 1, Bytes: 10}, nil, 11, true},
		{"no delivery without a count", ports.Credit{Bytes: 10}, nil, 1, false},
		{"a second one that uses up the bytes", ports.Credit{Count: 2, Bytes: 10}, []int64{4}, 6, true},
		{"no second one over the bytes", ports.Credit{Count: 2, Bytes: 10}, []int64{4}, 7, false},
		{"an empty one when the bytes are used up", ports.Credit{Count: 2, Bytes: 10}, []int64{10}, 0, true},
		{"nothing after a first one that is too large", ports.Credit{Count: 2, Bytes: 10}, []int64{11}, 0, false},
		{"no more than the count", ports.Credit{Count: 2, Bytes: 10}, []int64{1, 1}, 1, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := ports.NewAllowance(tt.credit)
			for _, size := range tt.charged {
				a.Charge("a", size)
			}
			require.Equal(t, tt.want, a.Fits(tt.give))
		})
	}
}

func TestAllowanceRefusesEndpoints(t *testing.T) {
	t.Parallel()
	known := map[string]struct{}{"a": {}, "b": {}}
	for _, tt := range []struct {
		name   string
		credit ports.Credit
		give   string
		want   bool
	}{
		{"no endpoint without bounds", ports.Credit{Count: 1}, "a", false},
		{"one with credit", ports.Credit{Endpoints: map[string]int{"a": 1}}, "a", false},
		{"one without credit", ports.Credit{Endpoints: map[string]int{"a": 0}}, "a", true},
		{"one that is overdrawn", ports.Credit{Endpoints: map[string]int{"a": -1}}, "a", true},
		{"another one", ports.Credit{Endpoints: map[string]int{"a": 0}}, "b", false},
		{"one that is known", ports.Credit{Known: known}, "b", false},
		{"one that is not known", ports.Credit{Known: known}, "c", true},
		{"one that is not known, despite its credit", ports.Credit{
			Known: known, Endpoints: map[string]int{"c": 1},
		}, "c", true},
		{"every one when none is known", ports.Credit{Known: map[string]struct{}{}}, "a", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, ports.NewAllowance(tt.credit).Refuses(tt.give))
		})
	}
}

func TestAllowanceChargesAndReturns(t *testing.T) {
	t.Parallel()
	whole := ports.Credit{Count: 3, Bytes: 10, Endpoints: map[string]int{"a": 1}}
	a := ports.NewAllowance(whole)
	a.Charge("a", 4)
	a.Charge("b", 5)
	require.Equal(t, ports.Credit{Count: 1, Bytes: 1, Endpoints: map[string]int{"a": 0}}, a.Left())
	require.True(t, a.Refuses("a"))
	require.False(t, a.Refuses("b"))

	a.Return("a", 4)
	a.Return("b", 5)
	require.Equal(t, whole, a.Left())
	require.False(t, a.Refuses("a"))
	require.True(t, a.Fits(100), "the next one is the first again")
	require.Equal(t, map[string]int{"a": 1}, whole.Endpoints, "the credit of the caller is its own")
}
