package bootstrap

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/configs"
)

func TestMemoryIsDividedByItsLimit(t *testing.T) {
	t.Parallel()
	full := memoryBudgets{
		Soft: 1024 << 20, Bodies: 256 << 20, Worker: 256 << 20, Results: 256 << 20, Cache: 64 << 20, MemTable: 16 << 20,
	}
	small := map[string]string{"server.max_body_size": "1MiB", "proxy.max_response_size": "1MiB"}
	tests := []struct {
		name  string
		give  int64
		flags map[string]string
		want  memoryBudgets
	}{
		{"none", 0, nil, full},
		{"2 GiB", 2 << 30, nil, full},
		{"512 MiB", 512 << 20, nil, memoryBudgets{
			Soft: 384 << 20, Bodies: 41243989, Worker: 41243989, Results: 41243989, Cache: 32 << 20, MemTable: 8 << 20,
		}},
		{"256 MiB", 256 << 20, nil, memoryBudgets{
			Soft: 192 << 20, Bodies: 13281962, Worker: 20 << 20, Results: 24466773, Cache: 16 << 20, MemTable: 4 << 20,
		}},
		{"256 MiB with small bodies", 256 << 20, small, memoryBudgets{
			Soft: 192 << 20, Bodies: 22719146, Worker: 22719146, Results: 22719146, Cache: 16 << 20, MemTable: 4 << 20,
		}},
		{"128 MiB with small bodies", 128 << 20, small, memoryBudgets{
			Soft: 96 << 20, Bodies: 8738133, Worker: 8738133, Results: 8738133, Cache: 8 << 20, MemTable: 2 << 20,
		}},
		{"a worker.max_bytes of the operator", 512 << 20, map[string]string{"worker.max_bytes": "100MiB"}, memoryBudgets{
			Soft: 384 << 20, Bodies: 41243989, Worker: 100 << 20, Results: 41243989, Cache: 32 << 20, MemTable: 8 << 20,
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := planMemory(load(t, tt.flags), tt.give)
			require.NoError(t, err)
			require.Equal(t, tt.want, got)
			if tt.give > 0 {
				require.Less(t, got.fixed()+got.Bodies+got.Worker+got.Results, got.Soft)
			}
		})
	}
}

func TestAConfigurationThatCannotWorkWithItsMemoryIsRefused(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		give  int64
		flags map[string]string
		want  string
		fits  map[string]string
	}{
		{
			"the defaults with 128 MiB", 128 << 20, nil,
			"server.max_body_size: must be at most 4MiB with the memory limit of 128MiB, and so must proxy.max_response_size",
			map[string]string{"server.max_body_size": "4MiB", "proxy.max_response_size": "4MiB"},
		},
		{
			"large responses", 256 << 20,
			map[string]string{"proxy.max_response_size": "64MiB"},
			"proxy.max_response_size: must be at most 12MiB with the memory limit of 256MiB, and so must server.max_body_size",
			map[string]string{"proxy.max_response_size": "12MiB"},
		},
		{
			"a large worker.max_bytes", 256 << 20,
			map[string]string{"worker.max_bytes": "200MiB"},
			"worker.max_bytes: must be at most 40MiB with the memory limit of 256MiB",
			map[string]string{"worker.max_bytes": "40MiB"},
		},
		{
			"hardly any memory", 32 << 20, nil,
			"server.max_body_size: cannot work within the memory limit of 32MiB: give the process more memory", nil,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := planMemory(load(t, tt.flags), tt.give)
			var wrong *configs.Error
			require.ErrorAs(t, err, &wrong)
			require.Contains(t, err.Error(), tt.want)
			if tt.fits != nil {
				_, err = planMemory(load(t, tt.fits), tt.give)
				require.NoError(t, err, "what is said to fit does")
			}
		})
	}
}

func TestIdleMemoryIsReturnedOnceAfterWork(t *testing.T) {
	t.Parallel()
	var m idleMemory
	const work, much, little = 100 * mebibyte, 500 * mebibyte, mebibyte
	require.False(t, m.due(heap{allocated: work, kept: much}), "it works")
	require.True(t, m.due(heap{allocated: work + little, kept: much}), "it is idle")
	require.False(t, m.due(heap{allocated: work + 2*little, kept: much}), "what is left is in use")
	require.False(t, m.due(heap{allocated: 2 * work, kept: little}), "it works")
	require.False(t, m.due(heap{allocated: 2 * work, kept: little}), "there is nothing to return")
	require.True(t, m.due(heap{allocated: 2 * work, kept: much}))
}
